//! A tiny API server for behaviour tests, which counts requests.

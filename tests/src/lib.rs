//! Whole-system tests of Sluice, each against every API server it supports.

//! The endpoint that controllers post their events to: any path, any method, as Flux has it.

use crate::context::Context;
use crate::dispatch;
use crate::event::Event;
use crate::http::{Answer, answer, read};
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Request, StatusCode};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long the first events after the start wait for the lists of Alerts and Providers.
const SYNC: Duration = Duration::from_secs(15);

/// Takes an event. Who posts it waits for the matching, never for a delivery.
pub(crate) async fn post<B>(cx: Arc<Context>, shutdown: CancellationToken, request: Request<B>) -> Answer
where
    B: hyper::body::Body<Data = bytes::Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = match read(request.into_body()).await {
        Ok(body) => body,
        Err(answer) => return *answer,
    };
    let mut event: Event = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(err) => {
            debug!(error = %err, "a posted event cannot be read");
            return answer(StatusCode::BAD_REQUEST, "");
        }
    };
    drop(body);
    event.clean();
    let verdict = cx.limiter.take(event.key());
    event.drop_token();
    let date = http_date(verdict.resets_in);
    let mut response = if verdict.first {
        accept(&cx, &shutdown, event).await;
        answer(StatusCode::ACCEPTED, "")
    } else {
        debug!(object = event.involved_object.path(), "duplicate of a recent event");
        let mut response = answer(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n");
        response.headers_mut().extend([(RETRY_AFTER, date.clone())]);
        response
    };
    response.headers_mut().extend([
        (HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from_static("1")),
        (HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from_static("0")),
        (HeaderName::from_static("x-ratelimit-reset"), date),
    ]);
    response
}

async fn accept(cx: &Arc<Context>, shutdown: &CancellationToken, event: Event) {
    let synced = async {
        cx.alerts.synced().await;
        cx.providers.synced().await;
    };
    if tokio::time::timeout(SYNC, synced).await.is_err() {
        warn!(
            object = event.involved_object.path(),
            "event lost: the API server has not listed Alerts and Providers yet"
        );
        return;
    }
    dispatch::dispatch(cx, shutdown, event).await;
}

fn http_date(after: Duration) -> HeaderValue {
    let at = Timestamp::now().checked_add(after).unwrap_or(Timestamp::MAX);
    let text = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

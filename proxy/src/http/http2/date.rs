//! The time as heads say it (RFC 9110 §6.6.1). It is written once a second.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use httpdate::fmt_http_date;

thread_local! {
    /// What was written last, and from when on it is not true any more.
    static WRITTEN: RefCell<Option<(HeaderValue, SystemTime)>> = const { RefCell::new(None) };
}

/// The time now, if there is a clock that can be believed at all.
pub(super) fn now() -> HeaderValue {
    let now = SystemTime::now();
    WRITTEN.with_borrow_mut(|written| match written {
        Some((text, until)) if now < *until && now + SECOND >= *until => text.clone(),
        _ => {
            let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let until = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()) + SECOND;
            let text = HeaderValue::try_from(fmt_http_date(now)).unwrap_or(HeaderValue::from_static(""));
            written.insert((text, until)).0.clone()
        }
    })
}

const SECOND: Duration = Duration::from_secs(1);

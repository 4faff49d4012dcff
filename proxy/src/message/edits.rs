//! What is changed in a request before it goes on, as it was decided.

use http::Uri;

use super::{Request, headers};

/// What whoever gets a request sees otherwise than it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The path, if it is another; the query stays as it came.
    pub path: Option<String>,
    /// What its caller says of itself that only a proof can say is taken out.
    pub without_claims: bool,
}

/// The target of a request cannot be written as it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path cannot be written in its one form")]
pub struct Unwritable;

impl Edits {
    /// Makes them, and counts the hop.
    pub fn apply(&self, request: &mut Request) -> Result<(), Unwritable> {
        if let Some(path) = &self.path {
            *request.uri_mut() = with_path(request.uri(), path).ok_or(Unwritable)?;
        }
        let method = request.method().clone();
        headers::count_hop(&method, request.headers_mut());
        if self.without_claims {
            headers::strip_claims(request.headers_mut());
        }
        Ok(())
    }
}

/// The same target with another path.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Body;

    #[test]
    fn a_request_is_edited_as_it_was_decided() {
        let request = |uri: &str| {
            let request = http::Request::options(uri).header("max-forwards", "3").header("client-cert", ":MII=:");
            request.body(Body::default()).unwrap()
        };
        let edited = |uri: &str, edits: Edits| {
            let mut request = request(uri);
            edits.apply(&mut request).unwrap();
            let (head, _) = request.into_parts();
            let claims = head.headers.contains_key("client-cert");
            (head.uri.to_string(), head.headers["max-forwards"].to_str().unwrap().to_owned(), claims)
        };
        assert_eq!(edited("/a//b?c", Edits::default()), ("/a//b?c".into(), "2".into(), true));
        let edits = Edits { path: Some("/a/b".into()), without_claims: true };
        assert_eq!(edited("http://cart/a//b?c", edits), ("http://cart/a/b?c".into(), "2".into(), false));
        let edits = Edits { path: Some("/ ".into()), without_claims: false };
        assert_eq!(edits.apply(&mut request("/")), Err(Unwritable));
    }
}

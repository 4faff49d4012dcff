//! How carelessly programs read paths. Many ignore case, path parameters or a slash at the end, some decode twice: to
//! them `/ADMIN;x/` is `/admin`. The folded form of a path is what the most careless of them makes of it.
//!
//! A rule that denies means a path if its written or its folded form is named; a rule that allows, only the path as it
//! is written. So folding can turn a call away and never lets one in. docs/REQUESTS.md has the table.

use super::{path::hex, route::PathMatch};

/// The folded form of a path, without its query. It begins and ends with a slash.
pub fn fold(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let read = String::from_utf8_lossy(&decode_to_the_end(path.as_bytes())).to_lowercase();
    for segment in read.split('/') {
        match segment.split_once(';').map_or(segment, |(name, _parameters)| name) {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let mut folded = String::with_capacity(read.len() + 1);
    for segment in kept {
        folded.push('/');
        folded.push_str(segment);
    }
    folded.push('/');
    folded
}

/// Undoes escapes, and what then looks like one again. A query, a fragment or a NUL that comes out ends the path.
fn decode_to_the_end(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        let mut byte = first;
        rest = after;
        while byte == b'%'
            && let Some(([high, low], after)) = rest.split_first_chunk()
            && let (Ok(high), Ok(low)) = (hex(*high), hex(*low))
        {
            byte = high << 4 | low;
            rest = after;
        }
        match byte {
            b'?' | b'#' | 0 => break,
            b'\\' => out.push(b'/'),
            _ => out.push(byte),
        }
    }
    out
}

/// Which paths a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// As it was written.
    pub written: PathMatch,
    /// What it comes to among folded paths.
    folded: PathMatch,
}

impl PathRule {
    /// A rule about these paths.
    pub fn new(written: PathMatch) -> Self {
        let folded = match &written {
            PathMatch::Exact(exact) => PathMatch::Exact(fold(exact).into()),
            // What is below `/admin/` is below `/admin`, and careless programs take that for the same.
            PathMatch::Prefix(prefix) if prefix.ends_with('/') => PathMatch::Prefix(fold(prefix).into()),
            PathMatch::Prefix(prefix) => PathMatch::Prefix(fold(prefix).trim_end_matches('/').into()),
        };
        Self { written, folded }
    }

    /// Whether the path, as it is written, is meant.
    pub fn means(&self, path: &str) -> bool {
        self.written.matches(path)
    }

    /// Whether the path, or what a careless program reads in it, is meant.
    pub fn may_mean(&self, path: &str, folded: &str) -> bool {
        self.means(path) || self.folded.matches(folded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_folded_to_what_careless_programs_read() {
        let cases = [
            ("/", "/"),
            ("/admin", "/admin/"),
            ("/admin/", "/admin/"),
            ("/ADMIN/Users", "/admin/users/"),
            ("/admin;x/users", "/admin/users/"),
            ("/admin;x=1;y/users;z", "/admin/users/"),
            ("/;/admin", "/admin/"),
            ("/;x/;y/admin", "/admin/"),
            ("/admin/;x", "/admin/"),
            ("/admin%3Fx", "/admin/"),
            ("/admin%23x", "/admin/"),
            ("/admin%2500x", "/admin/"),
            ("/%2561dmin", "/admin/"),
            ("/%252525252561dmin", "/admin/"),
            ("/x%252f..%252fadmin", "/admin/"),
            ("/x%255c..%255cadmin", "/admin/"),
            ("/x/..%253by/admin", "/admin/"),
            ("/a/../../b", "/b/"),
            ("/to\u{212a}en", "/token/"),
            ("/a%", "/a%/"),
            ("/a%4", "/a%4/"),
            ("/administrator", "/administrator/"),
        ];
        for (path, folded) in cases {
            assert_eq!(fold(path), folded, "{path}");
        }
    }

    #[test]
    fn the_folded_form_is_its_own_form() {
        for path in ["/A;b//c/", "/%2525", "/;", "/x%253b"] {
            assert_eq!(fold(&fold(path)), fold(path), "{path}");
        }
    }

    #[test]
    fn folding_only_widens_what_a_rule_means() {
        let exact = |text: &str| PathMatch::Exact(text.into());
        let prefix = |text: &str| PathMatch::Prefix(text.into());
        // The rule, a path; whether it is meant as it is written, and whether a careless program may be asked for it.
        let cases = [
            (exact("/admin"), "/admin", true, true),
            (exact("/admin"), "/ADMIN", false, true),
            (exact("/admin"), "/admin/", false, true),
            (exact("/admin/"), "/admin", false, true),
            (exact("/Admin;v=1"), "/admin", false, true),
            (exact("/admin"), "/administrator", false, false),
            (exact("/admin"), "/admin/users", false, false),
            (prefix("/admin/"), "/admin/users", true, true),
            (prefix("/admin/"), "/admin", false, true),
            (prefix("/admin/"), "/admin;x", false, true),
            (prefix("/admin/"), "/administrator", false, false),
            (prefix("/admin"), "/administrator", true, true),
            (prefix("/"), "/anything", true, true),
            (prefix("/"), "/", true, true),
            (prefix(""), "/", true, true),
        ];
        for (written, path, means, may_mean) in cases {
            let rule = PathRule::new(written);
            let read = (rule.means(path), rule.may_mean(path, &fold(path)));
            assert_eq!(read, (means, may_mean), "{rule:?} {path}");
        }
    }
}

//! The one form of a path. Rules that speak of paths hold only if a path can be written in one way, and only if the
//! program sees the very path that was judged.
//!
//! RFC 3986 §6.2.2: percent-encoded unreserved characters decoded, hex digits in upper case, dot segments removed; then
//! slashes merged. What programs read in two ways is refused: encoded slashes, backslashes, NUL, broken escapes, and dot
//! segments with parameters.

use std::borrow::Cow;

/// Why a path has no one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Some programs take it for a slash, some do not.
    #[error("the path contains an encoded slash (%2F), which programs read in two ways")]
    EncodedSlash,
    /// Some programs take it for a slash.
    #[error("the path contains a backslash, which programs read in two ways")]
    Backslash,
    /// Some programs end the path there.
    #[error("the path contains a NUL character")]
    Nul,
    /// It has no place in a request (RFC 9110 §4.2.5).
    #[error("the path contains a fragment (#)")]
    Fragment,
    /// `%` without two hex digits.
    #[error("the path contains a % that is not followed by two hex digits")]
    BadEscape,
    /// A control character or a space.
    #[error("the path contains a control character or a space")]
    Control,
    /// Some programs cut parameters off (RFC 3986 §3.3) before they remove dot segments.
    #[error("the path contains a dot segment with parameters (..;), which programs read in two ways")]
    DotsWithParameters,
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    Relative,
}

/// A path in its one form.
#[derive(Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    /// What the program is to see.
    pub forwarded: Cow<'a, str>,
    /// What rules are matched against: `forwarded` with every escape undone that need not be one (RFC 3986 §3.3 pchar).
    pub matched: Cow<'a, str>,
}

impl<'a> NormalPath<'a> {
    /// Brings a path, without its query, into its one form.
    pub fn read(path: &'a str) -> Result<Self, BadPath> {
        if !path.starts_with('/') {
            return Err(BadPath::Relative);
        }
        if is_plain(path) {
            return Ok(Self { forwarded: path.into(), matched: path.into() });
        }
        Self::make(path)
    }

    fn make(path: &str) -> Result<Self, BadPath> {
        let encoded = reencode(path)?;
        if encoded.split('/').any(is_dots_with_parameters) {
            return Err(BadPath::DotsWithParameters);
        }
        let forwarded = merge_slashes(&remove_dot_segments(&encoded));
        let matched = unescape(&forwarded, is_pchar);
        Ok(Self { forwarded: forwarded.into(), matched: matched.into() })
    }
}

/// Whether a path is in its one form for certain, as nearly all are: nothing of it could be written in another way.
fn is_plain(path: &str) -> bool {
    let mut after_slash = false;
    path.bytes().all(|byte| {
        let fits = match byte {
            b'/' | b'.' => !after_slash,
            b';' => false,
            _ => is_pchar(byte),
        };
        after_slash = byte == b'/';
        fits
    })
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// Writes every character in the one way in which it may be forwarded.
fn reencode(path: &str) -> Result<String, BadPath> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let ([high, low], after) = rest.split_first_chunk().ok_or(BadPath::BadEscape)?;
                rest = after;
                push(&mut out, hex(*high)? << 4 | hex(*low)?, is_unreserved)?;
            }
            b'#' => return Err(BadPath::Fragment),
            b'/' => out.push('/'),
            0..=b' ' | 0x7f => return Err(BadPath::Control),
            // What has no place in a path unencoded is encoded, or rules about `%7B` would not see `{`.
            _ => push(&mut out, byte, is_pchar)?,
        }
    }
    Ok(out)
}

/// Appends a character, plainly if it is `plain` and escaped if not.
fn push(out: &mut String, byte: u8, plain: fn(u8) -> bool) -> Result<(), BadPath> {
    match byte {
        b'/' => return Err(BadPath::EncodedSlash),
        b'\\' => return Err(BadPath::Backslash),
        0 => return Err(BadPath::Nul),
        _ if plain(byte) => out.push(char::from(byte)),
        _ => escape(out, byte),
    }
    Ok(())
}

fn escape(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

pub(super) fn hex(digit: u8) -> Result<u8, BadPath> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(BadPath::BadEscape)
}

/// Whether a segment, whose escapes are in upper case, is a dot segment to whoever cuts its parameters off. An encoded
/// semicolon is one to whoever decodes first.
fn is_dots_with_parameters(segment: &str) -> bool {
    let end = segment.find(';').into_iter().chain(segment.find("%3B")).min();
    end.is_some_and(|end| matches!(&segment[..end], "." | ".."))
}

/// RFC 3986 §5.2.4.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}

fn merge_slashes(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// Undoes the escapes of `plain` characters in a path whose escapes are all well-formed.
fn unescape(path: &str, plain: fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (digits, after) = after.split_at(2);
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if plain(byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push_str(digits);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        let cases = [
            // what came, what the program sees, what rules see
            ("/", "/", "/"),
            ("/items", "/items", "/items"),
            ("/items/", "/items/", "/items/"),
            ("/items//7", "/items/7", "/items/7"),
            ("//", "/", "/"),
            ("///a", "/a", "/a"),
            ("/a/./b", "/a/b", "/a/b"),
            ("/a/.", "/a/", "/a/"),
            ("/a/b/..", "/a/", "/a/"),
            ("/a/../../../b", "/b", "/b"),
            ("/..", "/", "/"),
            ("/a/...", "/a/...", "/a/..."),
            ("/a/b;v=1/c;", "/a/b;v=1/c;", "/a/b;v=1/c;"),
            ("/a/...;/b", "/a/...;/b", "/a/...;/b"),
            ("/a/;../b", "/a/;../b", "/a/;../b"),
            ("/a//../b", "/a/b", "/a/b"),
            ("/%2e%2E/b", "/b", "/b"),
            ("/a/%2e./b", "/b", "/b"),
            ("/%73ecret", "/secret", "/secret"),
            ("/a%7eb", "/a~b", "/a~b"),
            ("/a%21b", "/a%21b", "/a!b"),
            ("/a!b", "/a!b", "/a!b"),
            ("/a%3ab%40", "/a%3Ab%40", "/a:b@"),
            ("/a%2a", "/a%2A", "/a*"),
            ("/a%c3%a9", "/a%C3%A9", "/a%C3%A9"),
            ("/a\u{e9}", "/a%C3%A9", "/a%C3%A9"),
            ("/a{b}", "/a%7Bb%7D", "/a%7Bb%7D"),
            ("/a%7bb%7d", "/a%7Bb%7D", "/a%7Bb%7D"),
            ("/a|\"^`<>[]", "/a%7C%22%5E%60%3C%3E%5B%5D", "/a%7C%22%5E%60%3C%3E%5B%5D"),
            ("/a%252e%252e/b", "/a%252e%252e/b", "/a%252e%252e/b"),
            ("/a%25", "/a%25", "/a%25"),
            ("/a%20b", "/a%20b", "/a%20b"),
            ("/a%3fb", "/a%3Fb", "/a%3Fb"),
            ("/a%23b", "/a%23b", "/a%23b"),
        ];
        for (path, forwarded, matched) in cases {
            let expected = NormalPath { forwarded: forwarded.into(), matched: matched.into() };
            assert_eq!(NormalPath::read(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn the_form_is_its_own_form() {
        for path in ["/a/%2e%2E//b%21", "/x/./y/..//%41", "/%7B/{", "/..//a/"] {
            let once = NormalPath::read(path).unwrap();
            assert_eq!(NormalPath::read(&once.forwarded).unwrap(), once, "{path}");
        }
    }

    #[test]
    fn what_programs_read_in_two_ways_is_refused() {
        let cases = [
            ("/a%2Fb", BadPath::EncodedSlash),
            ("/a%2fb", BadPath::EncodedSlash),
            ("/a\\b", BadPath::Backslash),
            ("/a%5Cb", BadPath::Backslash),
            ("/a%5cb", BadPath::Backslash),
            ("/a%00", BadPath::Nul),
            ("/a#b", BadPath::Fragment),
            ("/a%", BadPath::BadEscape),
            ("/a%4", BadPath::BadEscape),
            ("/a%4g", BadPath::BadEscape),
            ("/a%+4", BadPath::BadEscape),
            ("/a b", BadPath::Control),
            ("/a\u{1}", BadPath::Control),
            ("/a\u{7f}", BadPath::Control),
            ("/a/..;/b", BadPath::DotsWithParameters),
            ("/a/..;x=1/b", BadPath::DotsWithParameters),
            ("/a/..;", BadPath::DotsWithParameters),
            ("/a/.;/b", BadPath::DotsWithParameters),
            ("/a/..%3b/b", BadPath::DotsWithParameters),
            ("/a/..%3Bx;y/b", BadPath::DotsWithParameters),
            ("/a/%2e%2E;/b", BadPath::DotsWithParameters),
            ("", BadPath::Relative),
            ("*", BadPath::Relative),
            ("items", BadPath::Relative),
            ("..", BadPath::Relative),
        ];
        for (path, fault) in cases {
            assert_eq!(NormalPath::read(path), Err(fault), "{path}");
        }
    }

    #[test]
    fn what_is_plain_is_in_its_one_form() {
        let alphabet = ["/", ".", "a", ";", "%", "2", "F", "~", "{"];
        let mut paths = vec!["/".to_owned()];
        let mut plain = 0;
        for _ in 0..5 {
            paths = paths.iter().flat_map(|path| alphabet.map(|next| format!("{path}{next}"))).collect();
            for path in paths.iter().filter(|path| is_plain(path)) {
                plain += 1;
                let NormalPath { forwarded, matched } = NormalPath::make(path).unwrap();
                assert_eq!((&*forwarded, &*matched), (path.as_str(), path.as_str()));
            }
        }
        assert!(plain > 1_000, "{plain} are");
    }
}

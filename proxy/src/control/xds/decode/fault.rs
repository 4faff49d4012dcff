//! Why a resource cannot be obeyed: where in it, and what is wrong there.

use std::fmt;

/// What is wrong with a resource, in one sentence that names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The way to the field, outermost first: `filter_chains[0].filters[0]`. Empty: the resource as a whole.
    path: String,
    what: String,
}

impl Fault {
    /// Something wrong right here.
    pub fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    /// Something that ought to be said and is not.
    pub fn missing(field: &str) -> Self {
        Self::new("is missing").within(field)
    }

    /// The same fault, seen from outside of `field`.
    #[must_use]
    pub fn within(mut self, field: &str) -> Self {
        self.path = if self.path.is_empty() { field.to_owned() } else { format!("{field}.{}", self.path) };
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.path, self.what) }
    }
}

/// Says where a fault was found, on the way out of the place.
pub trait Within<T> {
    /// The same result; a fault is seen from outside of `field`.
    fn within(self, field: &str) -> Result<T, Fault>;
}

impl<T> Within<T> for Result<T, Fault> {
    fn within(self, field: &str) -> Self {
        self.map_err(|fault| fault.within(field))
    }
}

/// Decodes every member of a list; a fault names the place in the list.
pub fn each<T, U>(field: &str, list: Vec<T>, mut decode: impl FnMut(T) -> Result<U, Fault>) -> Result<Vec<U>, Fault> {
    list.into_iter()
        .enumerate()
        .map(|(index, member)| decode(member).map_err(|fault| fault.within(&format!("{field}[{index}]"))))
        .collect()
}

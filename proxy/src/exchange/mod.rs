//! What becomes of a request between the two doors: the way on, and what all of them may hold together.
//!
//! - [`upstream`]: the way to endpoints and to the program, over pooled connections, tried again where nobody can notice
//! - [`burden`]: what is on its way, by whose it is, and what is given up when there is no room for it

pub mod burden;
pub mod upstream;

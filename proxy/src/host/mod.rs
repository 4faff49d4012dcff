//! The machine and the program on it: processes, descriptors, users, sockets, files. Nothing here knows the mesh.

pub mod calls;
pub mod child;
pub mod descriptors;
pub mod durable;
pub mod orphans;
pub mod program;
pub mod service_links;
pub mod sockets;
pub mod state_dir;
pub mod terminal;
pub mod users;

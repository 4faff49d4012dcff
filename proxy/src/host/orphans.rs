//! Processes that nobody waits for. Who is process 1, as a sidecar is that begins a container, becomes the parent of
//! whatever the program leaves behind, and would keep what has ended of that for ever.

use std::{io, mem::MaybeUninit};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{SignalKind, signal};

/// Lets everybody go who has ended, for ever, but for the `program`: whoever started that waits for it.
pub async fn reap(program: Option<Pid>) -> io::Result<()> {
    let mut changed = signal(SignalKind::child())?;
    loop {
        while let Some(orphan) = ended().filter(|ended| Some(*ended) != program) {
            // It has ended: there is nothing to wait for.
            waitid(WaitId::Pid(orphan), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        }
        if changed.recv().await.is_none() {
            return Ok(());
        }
    }
}

/// A child that has ended. It stays as it is.
fn ended() -> Option<Pid> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` may be written to, and is all zeroes where nothing was; of a child that has ended, its number is there.
    #[allow(unsafe_code)]
    let pid = unsafe {
        match libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) {
            0 => info.assume_init().si_pid(),
            _ => return None,
        }
    };
    Pid::from_raw(pid)
}

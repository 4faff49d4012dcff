//! Ends a response that stands still, from outside of it: as long as the other side does not read, nobody asks the body
//! for more, and a deadline inside of the body would never be looked at.

use std::future::pending;

use tokio::{sync::watch, task_local};

use crate::message::{Deadline, Response};

task_local! {
    /// Where who serves this connection notes what is on its way on it.
    static ON_ITS_WAY: watch::Sender<Option<Deadline>>;
}

/// Notes a response that is now on its way on the connection that is served here.
pub fn note(response: &Response) {
    ON_ITS_WAY.with(|current| current.send_replace(response.body().deadline()));
}

/// Serves one response at a time, until the end, or (`None`) until one of them has stood still for too long.
pub async fn attend<F: Future>(serving: F) -> Option<F::Output> {
    let (current, on_its_way) = watch::channel(None);
    tokio::select! {
        end = ON_ITS_WAY.scope(current, serving) => Some(end),
        () = stood_still(on_its_way) => None,
    }
}

async fn stood_still(mut on_its_way: watch::Receiver<Option<Deadline>>) {
    loop {
        let current = on_its_way.borrow_and_update().clone();
        let ceased = async {
            match current {
                Some(Deadline { activity, timeout }) => activity.ceased(timeout).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = ceased => return,
            changed = on_its_way.changed() => if changed.is_err() { pending::<()>().await },
        }
    }
}

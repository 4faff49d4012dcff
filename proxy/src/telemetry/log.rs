//! The log: lines to stderr, written by a thread of its own. Whoever reads stderr may be slow, or stand still: nobody else
//! waits for that. Lines that nobody takes are lost, and how many is said.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How many lines wait for whoever reads.
const MOST_LINES: usize = 4096;

/// How long the last lines may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Clone)]
pub struct Log {
    lines: Arc<Mutex<Option<SyncSender<Vec<u8>>>>>,
    lost: Arc<AtomicUsize>,
}

/// Until this is closed, the log is written.
pub struct Writing {
    log: Log,
    written: Receiver<()>,
}

impl Log {
    /// Writes to `out` from now on.
    pub fn to(out: impl Write + Send + 'static) -> io::Result<(Self, Writing)> {
        let (sender, lines) = sync_channel(MOST_LINES);
        let (done, written) = channel();
        let log = Self { lines: Arc::new(Mutex::new(Some(sender))), lost: Arc::default() };
        let lost = log.lost.clone();
        thread::Builder::new().name("sluice-log".into()).spawn(move || {
            write_all(&lines, out, &lost);
            drop(done);
        })?;
        Ok((log.clone(), Writing { log, written }))
    }
}

fn write_all(lines: &Receiver<Vec<u8>>, mut out: impl Write, lost: &AtomicUsize) {
    for line in lines {
        // If stderr is gone, there is nobody to tell.
        let _ = out.write_all(&line);
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                let _ = writeln!(out, r#"{{"level":"WARN","message":"lines of the log were lost","count":{count}}}"#);
            }
        }
    }
}

impl Writing {
    /// Waits for the last lines, for a moment.
    pub fn close(self) {
        self.log.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It says nothing: it ends, in time or not.
        let _ = self.written.recv_timeout(LAST_WORDS);
    }
}

impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*lines
            && sender.try_send(line.to_vec()).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'log> MakeWriter<'log> for Log {
    type Writer = &'log Self;

    fn make_writer(&'log self) -> &'log Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing until it is told to, and then everything.
    struct Slow(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_who_reads_and_what_was_lost_is_told() {
        let (go, wait) = channel();
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let (log, writing) = Log::to(Slow(wait, text.clone())).unwrap();
        let lines = MOST_LINES + 100;
        for number in 0..lines {
            (&log).write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        drop(go);
        writing.close();
        let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        let written = text.lines().filter(|line| line.starts_with("line ")).count();
        // One may have been taken out already.
        assert!((MOST_LINES..=MOST_LINES + 1).contains(&written), "{written}");
        let told = format!("\"count\":{}", lines - written);
        assert!(text.contains(&told), "{told} is not in the text");
    }
}

//! Programs at a terminal: they read it as if there were no sidecar, and none is left standing still at the end.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Signal, ioctl_tiocsctty, setsid},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use tokio::process::Command;

use crate::support::{eventually, process::World};

/// A terminal, as who sits before it has it.
struct Terminal {
    keys: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// A new one, to which `command` is connected as the first process of a session.
    fn before(command: &mut Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave: OwnedFd =
            OpenOptions::new().read(true).write(true).open(Path::new(name.to_str().unwrap())).unwrap().into();
        // As Node leaves it, and `sluice run` is Node until it becomes the sidecar.
        fcntl_setfl(&slave, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
        // SAFETY: between fork and exec only two system calls are made, which neither allocate nor lock.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || {
                setsid()?;
                Ok(ioctl_tiocsctty(slave.as_fd())?)
            });
        }
        let keys = File::from(master);
        let (mut shown, screen) = (keys.try_clone().unwrap(), Arc::<Mutex<String>>::default());
        let text = screen.clone();
        // It ends with the last process that has the terminal open.
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { keys, screen }
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    async fn shows(&self, text: &str) {
        eventually(text, async || self.screen.lock().unwrap().contains(text).then_some(())).await;
    }
}

#[tokio::test]
async fn a_program_reads_its_terminal() {
    let world = World::new().await;
    let mut command = world.command(&["--", "sh", "-c", "echo up; read line; echo \"got $line\"; exit 4"]);
    let mut terminal = Terminal::before(&mut command);
    let mut sidecar = world.start(&mut command).await;
    terminal.shows("up").await;
    terminal.types("hello\n");
    terminal.shows("got hello").await;
    assert_eq!(sidecar.ended().await.code(), Some(4));
}

#[tokio::test]
async fn keys_that_send_signals_send_them_to_who_reads_and_once() {
    let world = World::new().await;
    let script = "trap 'echo interrupted' INT; echo up; while :; do read line && echo \"got $line\"; done";
    let mut command = world.command(&["--", "bash", "-c", script]);
    let mut terminal = Terminal::before(&mut command);
    let mut sidecar = world.start(command.env("SLUICE_DRAIN_TIMEOUT", "1s")).await;
    terminal.shows("up").await;
    terminal.types("one\n");
    terminal.shows("got one").await;
    terminal.types("\u{3}");
    terminal.shows("interrupted").await;
    // Neither is there a shell that could wake a job, nor would one that is stopped here be of use to anybody.
    terminal.types("\u{1a}two\n");
    terminal.shows("got two").await;
    assert_eq!(sidecar.look("/readyz").await.0, 200, "it is the program's business");
    assert_eq!(terminal.screen.lock().unwrap().matches("interrupted").count(), 1);
    sidecar.signal(Signal::TERM);
    sidecar.ended().await;
}

#[tokio::test]
async fn a_program_that_does_not_read_ends_in_good_order_when_it_is_interrupted() {
    let world = World::new().await;
    let script = "trap 'echo interrupted; exit 3' INT; echo up; while :; do sleep 0.02; done";
    let mut command = world.command(&["--", "bash", "-c", script]);
    let mut terminal = Terminal::before(&mut command);
    let mut sidecar = world.start(&mut command).await;
    terminal.shows("up").await;
    terminal.types("\u{3}");
    sidecar.says("draining").await;
    assert_eq!(sidecar.ended().await.code(), Some(3));
    terminal.shows("interrupted").await;
    assert_eq!(terminal.screen.lock().unwrap().matches("interrupted").count(), 1);
}

#[tokio::test]
async fn the_terminal_comes_back_when_the_program_ends() {
    let world = World::new().await;
    let script = "\"$0\" \"$@\"; echo next; read line; echo \"got $line\"";
    let mut command = world.command_by(script, &["--", "sh", "-c", "echo up; read line"]);
    let mut terminal = Terminal::before(&mut command);
    let mut script = world.start(&mut command).await;
    terminal.shows("up").await;
    terminal.types("one\n");
    terminal.shows("next").await;
    terminal.types("two\n");
    terminal.shows("got two").await;
    assert_eq!(script.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_program_that_stands_still_hears_that_it_is_over() {
    let world = World::new().await;
    let file = world.directory.path().join("up");
    let script = format!("trap 'exit 3' TERM; echo up > {}; kill -STOP $$; sleep 100", file.display());
    let mut sidecar = world.start(&mut world.command(&["--", "bash", "-c", &script])).await;
    eventually("the program", async || file.exists().then_some(())).await;
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().await.code(), Some(3));
}

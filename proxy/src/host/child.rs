//! The program beside the sidecar: its environment, its signals, its end.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, kill_process, kill_process_group, set_parent_process_death_signal, setrlimit,
};
use tokio::process::{Child as Process, Command};

use crate::host::{service_links::is_service_link, terminal};

/// Hosts that are never called through the sidecar.
const LOCAL: &str = "localhost,127.0.0.1,::1";

/// The program.
pub struct Child {
    process: Process,
    pid: Pid,
}

/// What the program is told of its sidecar.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where its calls are listened to.
    pub outbound: SocketAddr,
    /// Where people look.
    pub admin: SocketAddr,
    /// `namespace/name`.
    pub workload: String,
}

impl Child {
    /// Starts `command` in a process group of its own, with this limit on its file descriptors. It is told to end should
    /// this process die.
    pub fn start(
        command: &[OsString],
        environment: BTreeMap<OsString, OsString>,
        descriptors: Rlimit,
    ) -> io::Result<Self> {
        let [program, arguments @ ..] = command else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no command"));
        };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(environment).process_group(0);
        // SAFETY: between fork and exec only two system calls are made, which neither allocate nor lock.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || {
                setrlimit(Resource::Nofile, descriptors)?;
                Ok(set_parent_process_death_signal(Some(Signal::TERM))?)
            });
        }
        terminal::make_wait()?;
        let process = command.spawn()?;
        let pid = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("the program ended at once"))?;
        tokio::spawn(terminal::lend(pid));
        Ok(Self { process, pid })
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its end and gives the exit code: its own, or 128 and the signal that ended it, as shells say it.
    pub async fn ended(&mut self) -> u8 {
        let code = self.process.wait().await.map_or(1, exit_code);
        terminal::take_back(self.pid);
        code
    }

    /// Passes a signal on to it.
    pub fn signal(&self, signal: Signal) {
        if self.process.id().is_some() {
            // It may have ended this very moment.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Asks it to end by `signal`, even if it stands still.
    pub fn ask_to_end(&self, signal: Signal) {
        self.signal(signal);
        self.signal(Signal::CONT);
    }

    /// Ends it, and whatever it started in its group, at once.
    pub fn kill(&self) {
        if self.process.id().is_some() {
            let _ = kill_process_group(self.pid, Signal::KILL);
            terminal::take_back(self.pid);
        }
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The environment of the program: ours without our settings, and with what sends its calls through the sidecar.
pub fn environment(
    ours: impl IntoIterator<Item = (OsString, OsString)>,
    surroundings: &Surroundings,
) -> BTreeMap<OsString, OsString> {
    let is_ours = |name: &OsStr, value: &OsStr| {
        name.as_encoded_bytes().starts_with(b"SLUICE_")
            && !is_service_link(&name.to_string_lossy(), &value.to_string_lossy())
    };
    let mut theirs: BTreeMap<_, _> = ours.into_iter().filter(|(name, value)| !is_ours(name, value)).collect();
    let proxy = format!("http://{}", surroundings.outbound);
    for name in ["NO_PROXY", "no_proxy"] {
        let mut hosts = theirs.get(OsStr::new(name)).filter(|hosts| !hosts.is_empty()).cloned().unwrap_or_default();
        if !hosts.is_empty() {
            hosts.push(",");
        }
        hosts.push(LOCAL);
        theirs.insert(name.into(), hosts);
    }
    for (name, value) in [
        ("HTTP_PROXY", proxy.as_str()),
        ("http_proxy", &proxy),
        ("NODE_USE_ENV_PROXY", "1"),
        ("SLUICE_OUTBOUND", &proxy),
        ("SLUICE_WORKLOAD", &surroundings.workload),
        ("SLUICE_ADMIN", &format!("http://{}", surroundings.admin)),
    ] {
        theirs.insert(name.into(), value.into());
    }
    theirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_learns_of_its_sidecar_and_of_none_of_its_secrets() {
        let ours = [
            ("PATH", "/bin"),
            ("SLUICE_JOIN_TOKEN_FILE", "/run/token"),
            ("SLUICE_STATE_DIR", "/var/lib/sluice"),
            ("SLUICE_OUTBOUND", "http://elsewhere"),
            ("SLUICE_SERVICE_HOST", "10.0.0.1"),
            ("HTTP_PROXY", "http://elsewhere"),
            ("NO_PROXY", "internal.example"),
            ("no_proxy", ""),
        ];
        let surroundings = Surroundings {
            outbound: "127.0.0.1:15001".parse().unwrap(),
            admin: "127.0.0.1:15000".parse().unwrap(),
            workload: "shop/cart-v1".into(),
        };
        let theirs = environment(ours.map(|(name, value)| (name.into(), value.into())), &surroundings);
        let expected = [
            ("HTTP_PROXY", "http://127.0.0.1:15001"),
            ("NODE_USE_ENV_PROXY", "1"),
            ("NO_PROXY", "internal.example,localhost,127.0.0.1,::1"),
            ("PATH", "/bin"),
            ("SLUICE_ADMIN", "http://127.0.0.1:15000"),
            ("SLUICE_OUTBOUND", "http://127.0.0.1:15001"),
            ("SLUICE_SERVICE_HOST", "10.0.0.1"),
            ("SLUICE_WORKLOAD", "shop/cart-v1"),
            ("http_proxy", "http://127.0.0.1:15001"),
            ("no_proxy", "localhost,127.0.0.1,::1"),
        ];
        assert_eq!(theirs, expected.map(|(name, value)| (name.into(), value.into())).into());
    }

    #[test]
    fn an_end_by_signal_is_told_as_shells_tell_it() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
    }
}

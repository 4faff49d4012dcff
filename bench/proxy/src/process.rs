//! What the system says of a process: time on a processor, and memory.

use std::{fs, io};

/// Microseconds that all threads of these processes have run so far.
pub fn cpu_micros(pids: &[u32]) -> io::Result<f64> {
    let mut nanos = 0_u64;
    for pid in pids {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end between the two.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split_ascii_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    #[allow(clippy::cast_precision_loss)]
    Ok(nanos as f64 / 1e3)
}

/// KiB of memory that these processes hold.
pub fn memory_kib(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        sum += line.split_ascii_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// Whatever runs as a child of `pid`, and of its children.
pub fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    all.extend(children.split_ascii_whitespace().filter_map(|text| text.parse().ok()).flat_map(family));
    all
}

//! All processes below this one, as `/proc` shows them.

use std::collections::HashMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

/// One process.
#[derive(Debug, Clone, Copy)]
struct Entry {
    parent: i32,
    group: i32,
}

/// Sends a signal to all processes below this one, but for those of one group.
pub(super) fn signal_all(signal: Signal, except_group: Option<i32>) {
    for (pid, group) in descendants(getpid().as_raw(), &processes()) {
        if Some(group) != except_group {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// The numbers of all processes below this one.
pub(in super::super) fn all_below_us() -> Vec<i32> {
    descendants(getpid().as_raw(), &processes()).into_iter().map(|(pid, _)| pid).collect()
}

/// Number and group of all below `root`.
fn descendants(root: i32, processes: &HashMap<i32, Entry>) -> Vec<(i32, i32)> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, entry) in processes {
        children.entry(entry.parent).or_default().push(*pid);
    }
    let (mut found, mut open) = (Vec::new(), vec![root]);
    while let Some(parent) = open.pop() {
        for pid in children.remove(&parent).unwrap_or_default() {
            found.push((pid, processes[&pid].group));
            open.push(pid);
        }
    }
    found
}

fn processes() -> HashMap<i32, Entry> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter_map(|pid: i32| Some((pid, parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)?))).collect()
}

/// Reads `pid (name) state parent group` (proc_pid_stat(5)); the name may hold anything.
fn parse(stat: &[u8]) -> Option<Entry> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    Some(Entry { parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_pass_for_another_parent() {
        let entry = parse(b"7 (x) S 1 (y) R 3 4 5 0\n").unwrap();
        assert_eq!((entry.parent, entry.group), (3, 4));
        assert!(parse(b"7 (x").is_none());
    }

    #[test]
    fn grandchildren_are_found_and_others_are_not() {
        let entry = |parent| Entry { parent, group: parent * 10 };
        let processes =
            HashMap::from([(2, entry(1)), (3, entry(2)), (4, entry(3)), (5, entry(9)), (9, entry(1))]);
        let mut found = descendants(2, &processes);
        found.sort_unstable();
        assert_eq!(found, [(3, 20), (4, 30)]);
    }
}

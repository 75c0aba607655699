//! Control groups: bounds on all processes of an instance together, whatever they start (cgroup v2, see
//! cgroups(7) and the kernel's `cgroup-v2` document).
//!
//! Groups are made beside us, where the system lets us: in a unit of systemd with `Delegate=yes`, in most
//! containers that have the file system writable, and as root. A group with processes of its own cannot hand
//! controllers down, so we go into one below it, [`OURS`], with all that we have started.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ResourceLimits;
use super::guard::all_below_us;

/// The group that the host itself is in.
const OURS: &str = "iap-host";
/// A quota is one of this time, in microseconds.
const PERIOD: u64 = 100_000;
/// How often it is tried to remove a group, and the pause between: its processes may just be ending.
const MAX_TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// The group below which those of instances are made.
#[derive(Debug)]
pub(super) struct Parent {
    directory: PathBuf,
}

/// The group of one instance. Dropped, it goes with all that is in it.
#[derive(Debug)]
pub(super) struct Group {
    directory: PathBuf,
}

/// A file of a group and what is written into it, with the controller that has it.
type Setting = (&'static str, &'static str, String);

/// What is to be set for these limits.
fn settings(limits: &ResourceLimits) -> Vec<Setting> {
    let quota = |millis: u32| format!("{} {PERIOD}", u64::from(millis) * PERIOD / 1000);
    let memory = limits.memory.map(|bytes| ("memory", "memory.max", bytes.to_string()));
    let cpu = limits.cpu_millis.map(|millis| ("cpu", "cpu.max", quota(millis)));
    let pids = limits.pids.map(|most| ("pids", "pids.max", most.to_string()));
    [memory, cpu, pids].into_iter().flatten().collect()
}

impl Parent {
    /// Finds it, and lets it hand down the controllers that these limits need. `Err` says why that cannot be.
    pub(super) fn prepare(limits: &ResourceLimits) -> Result<Self, String> {
        let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
        let (mounts, own) = (read("/proc/self/mountinfo")?, read("/proc/self/cgroup")?);
        let own = directory(&mounts, &own).ok_or("there is no cgroup v2")?;
        let is_ours = own.file_name().is_some_and(|name| name == OURS);
        let parent = Self { directory: if is_ours { own.parent().unwrap_or(&own).into() } else { own } };
        let needed: Vec<&str> = settings(limits).iter().map(|(controller, ..)| *controller).collect();
        let given = parent.list("cgroup.controllers")?;
        let missing: Vec<&str> = needed.iter().filter(|name| !given.contains(**name)).copied().collect();
        if !missing.is_empty() {
            let (place, missing) = (parent.directory.display(), missing.join(", "));
            return Err(format!("{place} has no controller for {missing}"));
        }
        let handed_down = parent.list("cgroup.subtree_control")?;
        let missing: Vec<String> = needed
            .iter()
            .filter(|name| !handed_down.contains(**name))
            .map(|name| format!("+{name}"))
            .collect();
        if !missing.is_empty() {
            parent.hand_down(&missing.join(" "))?;
        }
        Ok(parent)
    }

    /// The words of a file.
    fn list(&self, file: &str) -> Result<std::collections::HashSet<String>, String> {
        let path = self.directory.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(text.split_ascii_whitespace().map(Into::into).collect())
    }

    fn hand_down(&self, controllers: &str) -> Result<(), String> {
        let file = self.directory.join("cgroup.subtree_control");
        if fs::write(&file, controllers).is_ok() {
            return Ok(());
        }
        self.move_us().map_err(|error| format!("{}: {error}", self.directory.display()))?;
        // Whoever else is in it stays there, and keeps it from handing anything down.
        fs::write(&file, controllers).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Moves us and all that we have started into a group of our own, those that are in this one.
    fn move_us(&self) -> io::Result<()> {
        let ours = self.directory.join(OURS);
        match fs::create_dir(&ours) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let here = fs::read_to_string(self.directory.join("cgroup.procs"))?;
        let mut movable = all_below_us();
        movable.push(std::process::id() as i32);
        let here = here.lines().filter_map(|line| line.parse::<i32>().ok());
        for pid in here.filter(|pid| movable.contains(pid)) {
            fs::write(ours.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// Makes the group of an instance.
    pub(super) fn create(&self, process: &str, number: usize, limits: &ResourceLimits) -> io::Result<Group> {
        let random = getrandom::u32().map_err(io::Error::other)?;
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let process: String = process.chars().take(64).map(plain).collect();
        let directory = self.directory.join(format!("iap-{process}-{number}-{random:08x}"));
        fs::create_dir(&directory)?;
        // From here on it is removed where something fails.
        let group = Group { directory };
        for (_, file, value) in settings(limits) {
            fs::write(group.directory.join(file), value)?;
        }
        Ok(group)
    }
}

impl Group {
    /// Where it is, for [`enter`].
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if fs::remove_dir(&self.directory).is_ok() {
            return;
        }
        // Its guard was killed, or is about to end.
        let _ = fs::write(self.directory.join("cgroup.kill"), "1");
        let directory = std::mem::take(&mut self.directory);
        std::thread::spawn(move || remove(&directory));
    }
}

/// Puts this process into a group, and with it all that it starts from now on.
pub(super) fn enter(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Removes a group whose processes have ended, or do so soon.
pub(super) fn remove(group: &Path) {
    for _ in 0..MAX_TRIES {
        match fs::remove_dir(group) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(PAUSE),
            _ => return,
        }
    }
}

/// Our own group in the file system: the mount of cgroup v2 (proc_pid_mountinfo(5)), and our place below it
/// (cgroups(7), `/proc/PID/cgroup`).
fn directory(mounts: &str, own: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    // Without a view of it, as from another namespace.
    if own.starts_with("/..") {
        return None;
    }
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(own).strip_prefix(root).ok()?;
        Some(Path::new(point).join(below))
    })
}

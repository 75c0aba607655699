//! Opening what lies beneath a directory, and nothing else.
//!
//! The kernel resolves the whole path in one call that cannot leave the root (`openat2` with
//! `RESOLVE_BENEATH`), so a link that is swapped in the meantime leads nowhere either. Links that stay
//! inside are followed if they are relative; absolute ones count as leading out.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// How often a resolution is tried that a rename elsewhere has disturbed.
const ATTEMPTS: usize = 64;

/// A directory that files are looked up in.
pub(super) struct Root(OwnedFd);

/// What a path leads to.
pub(super) enum Entry {
    File(File),
    Directory(OwnedFd),
}

/// What is there, without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    File,
    Directory,
}

impl Root {
    /// The directory as it is now: a root that is itself a link may be swapped for another release.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens a regular file or a directory. `path` is relative; empty is the root itself.
    ///
    /// Anything else is `NotFound`: pipes, sockets and devices are not even opened, since opening
    /// them may have effects or wait.
    pub(super) fn entry(&self, path: &str) -> io::Result<Entry> {
        self.peek(path)?;
        let handle = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        match type_of(&handle)? {
            Type::File => Ok(Entry::File(handle.into())),
            Type::Directory => Ok(Entry::Directory(handle)),
        }
    }

    /// What `path` leads to, if that may be served.
    pub(super) fn peek(&self, path: &str) -> io::Result<(Type, File)> {
        let handle = self.resolve(path, OFlags::PATH)?;
        Ok((type_of(&handle)?, handle.into()))
    }

    fn resolve(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        for _ in 0..ATTEMPTS {
            match open_beneath(&self.0, path, flags | OFlags::CLOEXEC) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                // No such call here, or a sandbox forbids it.
                Err(Errno::NOSYS | Errno::PERM) => return Ok(walk(&self.0, path, flags | OFlags::CLOEXEC)?),
                result => return Ok(result?),
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

#[cfg(target_os = "linux")]
fn open_beneath(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), inside)
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(_: &OwnedFd, _: &str, _: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// The same without help of the kernel: segment by segment, and no link is followed.
fn walk(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let names: Vec<&str> = path.split('/').collect();
    if names.iter().any(|name| matches!(*name, "" | "..")) {
        return Err(Errno::NOENT);
    }
    let mut directory: Option<OwnedFd> = None;
    for (index, name) in names.iter().enumerate() {
        let is_last = index + 1 == names.len();
        let parent = directory.as_ref().unwrap_or(root);
        let step = if is_last { flags } else { OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC };
        let handle = rustix::fs::openat(parent, *name, step | OFlags::NOFOLLOW, Mode::empty())?;
        if is_last {
            return Ok(handle);
        }
        directory = Some(handle);
    }
    Err(Errno::NOENT)
}

fn type_of(handle: &OwnedFd) -> io::Result<Type> {
    use rustix::fs::FileType;
    match FileType::from_raw_mode(rustix::fs::fstat(handle)?.st_mode) {
        FileType::RegularFile => Ok(Type::File),
        FileType::Directory => Ok(Type::Directory),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Systems without `openat2` are rare, so this way is tried by hand.
    #[test]
    fn without_help_of_the_kernel_no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("www");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/c.txt"), "c").unwrap();
        std::fs::write(directory.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("a", root.join("inside")).unwrap();
        let root = Root::open(&root).unwrap().0;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        assert!(walk(&root, "a/b/c.txt", flags).is_ok());
        assert!(walk(&root, ".", flags).is_ok());
        for path in ["out", "up/secret", "inside/b/c.txt", "../secret", "a/../../secret", "", "/etc/passwd"] {
            assert!(walk(&root, path, flags).is_err(), "{path}");
        }
        let link = walk(&root, "out", OFlags::PATH | OFlags::CLOEXEC).unwrap();
        assert!(type_of(&link).is_err(), "a link itself is nothing to serve");
    }
}

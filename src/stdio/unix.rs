//! Taking file descriptors 0 and 1 on Unix.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::{End, Input, Output, Stdio};

pub(super) fn take() -> io::Result<Stdio> {
    // From 3 up: a duplicate that landed on 0, 1 or 2 would be overwritten below.
    let input = fcntl_dupfd_cloexec(io::stdin(), 3)?;
    let output = fcntl_dupfd_cloexec(io::stdout(), 3)?;
    let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(Stdio { input: Input(end(input, OFlags::RDONLY)), output: Output(end(output, OFlags::WRONLY)) })
}

/// Finds out what an end is.
pub(super) fn end(fd: OwnedFd, access: OFlags) -> End {
    match reopen(&fd, access) {
        Some(own) => End::NonBlocking(own),
        None => End::Blocking(File::from(fd)),
    }
}

/// `O_NONBLOCK` belongs to the open file description, which our descriptor shares with the parent and with whoever else inherited it: a shell,
/// `cat`, the client itself. Setting it there breaks them. A pipe that is opened anew has a description of its own.
#[cfg(target_os = "linux")]
fn reopen(fd: &OwnedFd, access: OFlags) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{FileType, fstat};

    let stat = fstat(fd).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return None;
    }
    // Without /proc, without the permission (another user's pipe) or without a reader this fails, and a thread does it.
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).ok()
}

/// Elsewhere `/dev/fd/N` is the same description again.
#[cfg(not(target_os = "linux"))]
fn reopen(_fd: &OwnedFd, _access: OFlags) -> Option<OwnedFd> {
    None
}

/// Blocks until a file that turned out to be non-blocking can go on.
pub(super) fn wait_ready(file: &File, writing: bool) -> io::Result<()> {
    let flags = if writing { PollFlags::OUT } else { PollFlags::IN };
    match poll(&mut [PollFd::from_borrowed_fd(file.as_fd(), flags)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

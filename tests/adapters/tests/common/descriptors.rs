//! The sockets of this process, as the system knows them.

use std::net::SocketAddr;

/// The two ends of a connection of this process, here first, and a handle on its socket.
pub(crate) type Connected = (SocketAddr, SocketAddr, socket2::Socket);

/// All sockets of this process that are connected.
pub(crate) fn connected() -> Vec<Connected> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    let files = std::fs::read_dir("/proc/self/fd").expect("its files");
    let numbers = files.filter_map(|file| file.expect("readable").file_name().to_str()?.parse().ok());
    // All of them before the first copy, which is a file as well.
    let numbers = numbers.collect::<Vec<i32>>();
    let sockets = numbers.into_iter().filter_map(|number| {
        let socket = socket2::Socket::from(pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).ok()?);
        Some((socket.local_addr().ok()?.as_socket()?, socket.peer_addr().ok()?.as_socket()?, socket))
    });
    sockets.collect()
}

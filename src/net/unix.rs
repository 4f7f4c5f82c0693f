//! The file of a Unix socket: taken over from the dead, never from the living, private from its first moment, gone at the end.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Accepted, Address, ListenOptions, Listener, Listening, listen, socket};
use crate::Result;
use crate::runtime::Spawn;
use crate::server::Server;
use crate::trace::Transport;

/// How often and how long to wait for others that are just binding sockets in the same folder.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Listens on a Unix socket. `open` makes the bound socket, which does not block, the runtime's own.
///
/// The file that a server left behind which has died is replaced; one on which a server listens is not, nor is any other kind of file.
/// At the end the file is removed. Only this user may connect: [`ListenOptions::mode`] says otherwise.
///
/// # Errors
///
/// When the server is not well defined, its start hook fails, or the path cannot be bound.
pub async fn listen_unix<R: Spawn, L: Listener>(
    runtime: R,
    path: &Path,
    server: Server,
    options: ListenOptions,
    open: impl FnOnce(UnixListener) -> io::Result<L>,
) -> Result<Listening> {
    let (socket, file) = bind(path, options.mode)?;
    let address = Address::Unix(path.to_owned());
    let listener = WithFile { listener: open(socket)?, _file: file };
    listen(runtime, listener, address, server.over(Transport::Unix), options).await
}

/// A listening socket that does not block, and its file.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on the Unix socket {}: {error}", path.display()))
    };
    // Against another server that finds the same file of a dead one: what it finds must not be ours, not yet listening.
    let lock = lock_folder(path);
    clear(path).map_err(explain)?;
    let bound = open(path, mode).map_err(explain);
    drop(lock);
    bound
}

fn open(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::of(path)?;
    // Nobody can connect before it listens, so nobody gets in by what the file's permissions were until here.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(socket::BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), file))
}

/// Removes the file of a server that has died.
fn clear(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // It may live: also one that is not ours to ask, or too busy to answer.
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there")),
    }
}

/// A lock for as long as the result lives. Without it (no right to read the folder, or somebody who does not let go) there is only a
/// moment in which two servers that start at once may both believe to be the one.
fn lock_folder(path: &Path) -> Option<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder).ok()?;
    for _ in 0..TRIES {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(rustix::io::Errno::WOULDBLOCK) => thread::sleep(PAUSE),
            Err(_) => return None,
        }
    }
    None
}

/// Removes the file when dropped, if it is still the one that was made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let made = fs::symlink_metadata(path)?;
        // Absolute, since the process may change its folder meanwhile.
        Ok(Self { path: std::path::absolute(path)?, device: made.dev(), inode: made.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A listener and the file that goes with it.
pub(super) struct WithFile<L> {
    pub(super) listener: L,
    pub(super) _file: SocketFile,
}

impl<L: Listener> Listener for WithFile<L> {
    type Reader = L::Reader;
    type Writer = L::Writer;

    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<L::Reader, L::Writer>>> + Send {
        self.listener.accept()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path in a folder of its own, removed at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("mcp-socket-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn path(&self) -> PathBuf {
            self.0.join("s")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_file_is_private_and_goes_with_the_server() {
        let place = Place::new("private");
        let (listener, file) = bind(&place.path(), 0o600).unwrap();
        assert_eq!(fs::metadata(place.path()).unwrap().mode() & 0o777, 0o600);
        UnixStream::connect(place.path()).unwrap();
        drop((listener, file));
        assert!(!place.path().exists());
        let (_listener, _file) = bind(&place.path(), 0o666).unwrap();
        assert_eq!(fs::metadata(place.path()).unwrap().mode() & 0o777, 0o666);
    }

    #[test]
    fn the_dead_are_replaced_and_the_living_are_not() {
        let place = Place::new("dead");
        // Like a server that was killed.
        drop(UnixListener::bind(place.path()).unwrap());
        assert!(place.path().exists());
        let (_listener, _file) = bind(&place.path(), 0o600).unwrap();
        let error = bind(&place.path(), 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains(&place.path().display().to_string()), "{error}");
        UnixStream::connect(place.path()).unwrap();
    }

    #[test]
    fn what_is_no_socket_stays() {
        let place = Place::new("file");
        fs::write(place.path(), "precious").unwrap();
        assert_eq!(bind(&place.path(), 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(place.path()).unwrap(), "precious");
    }

    #[test]
    fn a_file_that_somebody_else_made_meanwhile_stays() {
        let place = Place::new("meanwhile");
        let (listener, file) = bind(&place.path(), 0o600).unwrap();
        fs::remove_file(place.path()).unwrap();
        let (_theirs, _their_file) = bind(&place.path(), 0o600).unwrap();
        drop((listener, file));
        UnixStream::connect(place.path()).unwrap();
    }

    #[test]
    fn of_many_that_start_at_once_one_listens() {
        let place = Place::new("many");
        for _ in 0..20 {
            drop(UnixListener::bind(place.path()).unwrap());
            let barrier = std::sync::Barrier::new(8);
            let bound = thread::scope(|scope| {
                let start = || {
                    barrier.wait();
                    bind(&place.path(), 0o600).ok()
                };
                let threads = (0..8).map(|_| scope.spawn(start)).collect::<Vec<_>>();
                threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(bound.len(), 1);
            UnixStream::connect(place.path()).unwrap();
        }
    }
}

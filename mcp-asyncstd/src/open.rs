//! How async-std opens standard input and output, the pipes of a child, and sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{ChildStdin, ChildStdout};

use async_io::Async;
use futures_io::{AsyncRead, AsyncWrite};
use mcp::net::{Accepted, Listener};
use mcp::stdio::{End, Input, Output, read_in_thread, write_in_thread};

#[cfg(unix)]
pub(crate) use unix::{UnixSocket, connect_unix};

/// The box costs one indirect call for each system call.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

pub(crate) fn input(input: Input) -> io::Result<Reader> {
    match input.into_end() {
        #[cfg(unix)]
        End::NonBlocking(fd) => unix::reader(fd),
        End::Blocking(file) => Ok(Box::new(read_in_thread(file))),
        end => Err(unknown(&end)),
    }
}

pub(crate) fn output(output: Output) -> io::Result<Writer> {
    match output.into_end() {
        #[cfg(unix)]
        End::NonBlocking(fd) => unix::writer(fd),
        End::Blocking(file) => Ok(Box::new(write_in_thread(file))),
        end => Err(unknown(&end)),
    }
}

fn unknown(end: &End) -> io::Error {
    let text = format!("this version of {} cannot open {end:?}", env!("CARGO_PKG_NAME"));
    io::Error::new(io::ErrorKind::Unsupported, text)
}

#[cfg(unix)]
pub(crate) fn child_output(stdout: ChildStdout) -> io::Result<Reader> {
    unix::reader(stdout.into())
}

#[cfg(unix)]
pub(crate) fn child_input(stdin: ChildStdin) -> io::Result<Writer> {
    unix::writer(stdin.into())
}

#[cfg(windows)]
pub(crate) fn child_output(stdout: ChildStdout) -> io::Result<Reader> {
    Ok(Box::new(read_in_thread(std::os::windows::io::OwnedHandle::from(stdout).into())))
}

#[cfg(windows)]
pub(crate) fn child_input(stdin: ChildStdin) -> io::Result<Writer> {
    Ok(Box::new(write_in_thread(std::os::windows::io::OwnedHandle::from(stdin).into())))
}

/// A TCP socket that clients come to.
#[derive(Debug)]
pub(crate) struct TcpSocket(Async<TcpListener>);

impl TcpSocket {
    pub(crate) fn new(socket: TcpListener) -> io::Result<Self> {
        Async::new(socket).map(Self)
    }
}

impl Listener for TcpSocket {
    type Reader = Reader;
    type Writer = Writer;

    async fn accept(&mut self) -> io::Result<Accepted<Reader, Writer>> {
        let (stream, peer) = self.0.accept().await?;
        let (reader, writer) = tcp_halves(stream);
        Ok(Accepted::new(reader, writer, Some(peer)))
    }
}

pub(crate) async fn connect_tcp(address: SocketAddr) -> io::Result<(Reader, Writer)> {
    Async::<TcpStream>::connect(address).await.map(tcp_halves)
}

fn tcp_halves(stream: Async<TcpStream>) -> (Reader, Writer) {
    mcp::net::tune(&stream);
    let (reader, writer) = mcp::net::split(stream, |stream, how| stream.get_ref().shutdown(how));
    (Box::new(reader), Box::new(writer))
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;

    use async_io::Async;
    use mcp::net::{Accepted, Listener};

    use super::{Reader, Writer};

    /// This sets `O_NONBLOCK`. That touches nobody else: the description behind each of these descriptors is ours alone.
    pub(super) fn reader(fd: OwnedFd) -> io::Result<Reader> {
        Ok(Box::new(Async::new(File::from(fd))?))
    }

    pub(super) fn writer(fd: OwnedFd) -> io::Result<Writer> {
        Ok(Box::new(Async::new(File::from(fd))?))
    }

    /// A Unix socket that clients come to.
    #[derive(Debug)]
    pub(crate) struct UnixSocket(Async<UnixListener>);

    impl UnixSocket {
        pub(crate) fn new(socket: UnixListener) -> io::Result<Self> {
            Async::new(socket).map(Self)
        }
    }

    impl Listener for UnixSocket {
        type Reader = Reader;
        type Writer = Writer;

        async fn accept(&mut self) -> io::Result<Accepted<Reader, Writer>> {
            let (stream, _) = self.0.accept().await?;
            let (reader, writer) = unix_halves(stream);
            Ok(Accepted::new(reader, writer, None))
        }
    }

    pub(crate) async fn connect_unix(path: PathBuf) -> io::Result<(Reader, Writer)> {
        Async::<UnixStream>::connect(path).await.map(unix_halves)
    }

    fn unix_halves(stream: Async<UnixStream>) -> (Reader, Writer) {
        let (reader, writer) = mcp::net::split(stream, |stream, how| stream.get_ref().shutdown(how));
        (Box::new(reader), Box::new(writer))
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    use mcp::process::Command;

    #[test]
    fn the_pipes_of_a_child_carry_both_ways_to_the_end() {
        async_std::task::block_on(async {
            let (child, stdin, stdout) = Command::new("cat").spawn().unwrap();
            let (mut reader, mut writer) = (super::child_output(stdout).unwrap(), super::child_input(stdin).unwrap());
            // More than all buffers on the way hold: without a reader the writer waits, without blocking the only thread.
            let sent = vec![7; 1_000_000];
            let copy = sent.clone();
            let writing = async_std::task::spawn(async move {
                writer.write_all(&copy).await.unwrap();
                writer.close().await.unwrap();
                // An end is closed when it is dropped, as it is here: a pipe knows no half-close.
            });
            let mut got = Vec::new();
            reader.read_to_end(&mut got).await.unwrap();
            writing.await;
            assert!(got == sent);
            assert!(child.shutdown().await.status.unwrap().success());
        });
    }
}

//! How tokio opens standard input and output, the pipes of a child, and sockets.

use std::io;
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout};

use futures_io::{AsyncRead, AsyncWrite};
use mcp::net::{Accepted, Listener};
use mcp::stdio::{End, Input, Output, read_in_thread, write_in_thread};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
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
pub(crate) struct TcpSocket(TcpListener);

impl TcpSocket {
    pub(crate) fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        TcpListener::from_std(socket).map(Self)
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
    TcpStream::connect(address).await.map(tcp_halves)
}

/// The writer ends the stream when it is closed or dropped: tokio sees to that.
fn tcp_halves(stream: TcpStream) -> (Reader, Writer) {
    mcp::net::tune(&stream);
    let (reader, writer) = stream.into_split();
    (Box::new(reader.compat()), Box::new(writer.compat_write()))
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;

    use mcp::net::{Accepted, Listener};
    use tokio::net::unix::pipe;
    use tokio::net::{UnixListener, UnixStream};
    use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

    use super::{Reader, Writer};

    /// tokio sets `O_NONBLOCK`. That touches nobody else: the description behind each of these descriptors is ours alone.
    pub(super) fn reader(fd: OwnedFd) -> io::Result<Reader> {
        Ok(Box::new(pipe::Receiver::from_owned_fd(fd)?.compat()))
    }

    pub(super) fn writer(fd: OwnedFd) -> io::Result<Writer> {
        Ok(Box::new(pipe::Sender::from_owned_fd(fd)?.compat_write()))
    }

    /// A Unix socket that clients come to.
    #[derive(Debug)]
    pub(crate) struct UnixSocket(UnixListener);

    impl UnixSocket {
        pub(crate) fn new(socket: std::os::unix::net::UnixListener) -> io::Result<Self> {
            UnixListener::from_std(socket).map(Self)
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
        UnixStream::connect(path).await.map(unix_halves)
    }

    fn unix_halves(stream: UnixStream) -> (Reader, Writer) {
        let (reader, writer) = stream.into_split();
        (Box::new(reader.compat()), Box::new(writer.compat_write()))
    }
}

#[cfg(test)]
mod tests {
    use mcp::process::Command;
    use tokio_util::compat::{FuturesAsyncReadCompatExt, FuturesAsyncWriteCompatExt};

    #[tokio::test]
    async fn the_pipes_of_a_child_carry_both_ways_to_the_end() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let (child, stdin, stdout) = Command::new("cat").spawn().unwrap();
        let (reader, writer) = (super::child_output(stdout).unwrap(), super::child_input(stdin).unwrap());
        let (mut reader, mut writer) = (reader.compat(), writer.compat_write());
        // More than all buffers on the way hold: without a reader the writer waits, without blocking the only thread.
        let sent = vec![7; 1_000_000];
        let copy = sent.clone();
        let writing = tokio::spawn(async move {
            writer.write_all(&copy).await.unwrap();
            writer.shutdown().await.unwrap();
            // An end is closed when it is dropped, as it is here: a pipe knows no half-close.
        });
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        writing.await.unwrap();
        assert!(got == sent);
        assert!(child.shutdown().await.status.unwrap().success());
    }
}

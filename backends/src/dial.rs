//! Opening a connection to a host that may have several addresses.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The other end of a silent connection is asked for a sign of life after so long, then as often as this, and is taken
/// for dead after so many questions. Nothing else shows that the server of a silent event stream is gone.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(30);
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const KEEPALIVE_PROBES: u32 = 3;
/// How far an attempt is ahead of the next one.
const HEAD_START: Duration = Duration::from_millis(300);

/// A connection to whichever of `addresses` answers first. They are tried in their order, the next one as soon as the
/// one before fails or is slow.
pub(crate) async fn any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    let mut addresses = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    loop {
        attempts.extend(addresses.next().map(TcpStream::connect));
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return prepare(stream),
                Some(Err(failed)) => error = failed,
                None => return Err(error),
            },
            () = tokio::time::sleep(HEAD_START), if addresses.len() > 0 => {}
        }
    }
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_PROBES))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn the_first_address_that_answers_is_used() {
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = good.local_addr().unwrap();
        // Nobody listens here any more.
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        // A queue that is full answers nobody.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let _queued = [TcpStream::connect(silent).await.unwrap(), TcpStream::connect(silent).await.unwrap()];
        for addresses in [vec![good], vec![refusing, good], vec![silent, good], vec![silent, refusing, good]]
        {
            let stream = any(addresses).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
        }
        assert_eq!(any(vec![refusing]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(any(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

//! A distance between clients and a server: a proxy that delays every byte, on a thread of its own. Clients do not sleep, and
//! bytes that follow each other do not wait for each other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::alarm::Alarm;

/// Maximum bytes of one read.
const PIECE_BYTES: usize = 64 * 1_024;

/// Maximum number of pieces under way in one direction. Beyond it the proxy reads no more, as a full network would.
const PIECES_MAX: usize = 1_024;

/// A running proxy. Ends when it is dropped.
pub(crate) struct Distance {
    address: SocketAddr,
    /// Delay in each direction, in nanoseconds.
    one_way: Arc<AtomicU64>,
    _stop: oneshot::Sender<()>,
}

impl Distance {
    /// Starts a proxy in front of a server, with no delay.
    ///
    /// # Errors
    /// If it cannot listen.
    pub(crate) fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let (address, one_way) = (listener.local_addr()?, Arc::<AtomicU64>::default());
        let (stop, stopped) = oneshot::channel();
        let delay = one_way.clone();
        std::thread::Builder::new().name("distance".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = accept(listener, upstream, delay) => {}
                }
            });
        })?;
        Ok(Self { address, one_way, _stop: stop })
    }

    /// Connects to another address instead of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays what arrives from now on by this round-trip time, half of it in each direction.
    pub(crate) fn set(&self, round_trip: Duration) {
        let nanos = u64::try_from((round_trip / 2).as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: only the number matters, no other memory depends on it.
        self.one_way.store(nanos, Ordering::Relaxed);
    }
}

async fn accept(listener: std::net::TcpListener, upstream: SocketAddr, one_way: Arc<AtomicU64>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(connection(client, upstream, one_way.clone()));
    }
}

async fn connection(client: TcpStream, upstream: SocketAddr, one_way: Arc<AtomicU64>) -> io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((requests, answered), (answers, requested)) = (client.into_split(), server.into_split());
    // The first failure drops both directions, and with them all four ends.
    tokio::try_join!(direction(requests, requested, &one_way), direction(answers, answered, &one_way))?;
    Ok(())
}

/// Passes on everything in one direction, each piece a fixed time after it arrived, and then the end.
async fn direction(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, one_way: &AtomicU64) -> io::Result<()> {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let reading = async move {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut buffer).await?;
            let due = Instant::now() + Duration::from_nanos(one_way.load(Ordering::Relaxed));
            if read == 0 || sender.send((due, buffer[..read].to_vec())).await.is_err() {
                return Ok::<_, io::Error>(());
            }
        }
    };
    let writing = async move {
        let alarm = Alarm::new()?;
        while let Some((due, piece)) = pieces.recv().await {
            alarm.until(due).await?;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}

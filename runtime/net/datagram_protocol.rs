//! Datagrams as callbacks: an object with methods, and a transport to answer through, as asyncio has
//! them.
//!
//! ```text
//!   the endpoint's task:   connection_made ─► datagram_received, error_received ... ─► connection_lost
//!   DatagramTransport:     send_to ─► the socket; if that is full, a queue, which the task sends
//!                          close ─► the queue is sent, then the task ends
//! ```
//!
//! The callbacks run one after the other, each in the loop, and nothing of ours is borrowed
//! meanwhile: a callback may use the transport as it likes. One that panics ends the task, whose
//! [`JoinHandle`] has the panic, or, if nobody awaits that, the log.
//!
//! Read next: `drain.rs`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::UdpSocket as StdUdpSocket;
use std::os::fd::AsRawFd;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::address::Address;
use super::datagram_socket::{Datagram, DatagramSocket, Datagrams};
use super::patience::Patience;
use super::udp::UdpSocket;
use crate::id::WaitReason;
use crate::io::registration::Wait;
use crate::reactor::Direction;
use crate::task::join::JoinHandle;
use crate::waiters::{Place, WaitList};

/// How many bytes may wait in a transport for room in the socket.
const MOST_UNSENT_BYTES: usize = 1 << 20;

/// As how many bytes a datagram counts at least that waits: also an empty one takes a place.
const LEAST_UNSENT_BYTES: usize = 64;

/// What to do with the datagrams of one socket.
pub trait DatagramProtocol<S: Datagrams = StdUdpSocket> {
    /// The first call: through `transport` answers can be sent, now and later.
    fn connection_made(&mut self, transport: DatagramTransport<S>) {
        let _ = transport;
    }

    /// A datagram has come, all of it in `bytes`. One that is too long for that (more than 256 KiB, through a
    /// Unix socket) is an error.
    fn datagram_received(&mut self, bytes: &[u8], from: S::Address);

    /// Sending or receiving failed; the endpoint goes on. Mostly it is a datagram of ours that was refused.
    fn error_received(&mut self, error: io::Error) {
        log::debug!("a datagram endpoint goes on after: {error}");
    }

    /// The last call: the transport was closed. It is not made if a callback has panicked, or the task was
    /// cancelled.
    fn connection_lost(&mut self) {}
}

/// Binds a UDP socket and runs `protocol` on it, in a task of its own. The task's value is the protocol, once
/// the transport was [closed](DatagramTransport::close).
///
/// # Errors
/// As [`UdpSocket::bind`].
///
/// # Cancel safety
/// Dropping it gives up, and the protocol.
#[track_caller]
pub fn bind_protocol<P>(
    address: impl Into<Address>,
    protocol: P,
) -> impl Future<Output = io::Result<(DatagramTransport, JoinHandle<P>)>>
where
    P: DatagramProtocol + 'static,
{
    let (address, location) = (address.into(), Location::caller());
    async move { UdpSocket::bind(address).await?.run_protocol_from(protocol, location) }
}

impl<S: Datagrams + 'static> DatagramSocket<S> {
    /// Runs `protocol` on this socket, in a task of its own. The task's value is the protocol, once the
    /// transport was [closed](DatagramTransport::close).
    ///
    /// # Errors
    /// Outside of the loop that the socket belongs to.
    #[track_caller]
    pub fn run_protocol<P>(self, protocol: P) -> io::Result<(DatagramTransport<S>, JoinHandle<P>)>
    where
        P: DatagramProtocol<S> + 'static,
    {
        self.run_protocol_from(protocol, Location::caller())
    }

    /// [`run_protocol`](DatagramSocket::run_protocol), with the place that the task is to name.
    fn run_protocol_from<P>(
        self,
        protocol: P,
        location: &'static Location<'static>,
    ) -> io::Result<(DatagramTransport<S>, JoinHandle<P>)>
    where
        P: DatagramProtocol<S> + 'static,
    {
        let current = self.socket().registration().current()?;
        let endpoint = Rc::new(Endpoint {
            socket: self,
            unsent: RefCell::new(VecDeque::new()),
            unsent_bytes: Cell::new(0),
            closing: Cell::new(false),
            word: WaitList::new(),
        });
        let task = Task { endpoint: endpoint.clone(), place: Place::default() };
        let handle = current.spawn(task.run(protocol), Some("datagram endpoint"), location);
        Ok((DatagramTransport { endpoint }, handle))
    }
}

/// A datagram that waits for room: its bytes, and whom it goes to if not to the peer.
type Unsent<A> = (Vec<u8>, Option<A>);

/// What a transport and its task have in common.
struct Endpoint<S: Datagrams> {
    /// The socket.
    socket: DatagramSocket<S>,
    /// What waits for room in the socket.
    unsent: RefCell<VecDeque<Unsent<S::Address>>>,
    /// How many bytes these are.
    unsent_bytes: Cell<usize>,
    /// Whether the transport was closed, or the task is over.
    closing: Cell<bool>,
    /// Where the task waits for word of the transport.
    word: WaitList,
}

/// Sends for a [`DatagramProtocol`]. It can be cloned, and lives in its loop's thread.
pub struct DatagramTransport<S: Datagrams = StdUdpSocket> {
    /// What it shares with its task.
    endpoint: Rc<Endpoint<S>>,
}

impl<S: Datagrams> DatagramTransport<S> {
    /// Sends a datagram to `to`; if the socket has no room, as soon as it has. An error then goes to
    /// [`error_received`](DatagramProtocol::error_received).
    ///
    /// # Errors
    /// As [`DatagramSocket::send`]; `NotConnected` once the transport is closed; `WouldBlock` if a
    /// megabyte waits already.
    pub fn send_to(&self, bytes: &[u8], to: impl Into<S::Address>) -> io::Result<()> {
        self.send_or_keep(bytes, Some(to.into()))
    }

    /// Sends a datagram to the address that the socket is connected to.
    ///
    /// # Errors
    /// As [`send_to`](DatagramTransport::send_to).
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.send_or_keep(bytes, None)
    }

    /// Sends now, or keeps the datagram for the task.
    fn send_or_keep(&self, bytes: &[u8], to: Option<S::Address>) -> io::Result<()> {
        let endpoint = &self.endpoint;
        if endpoint.closing.get() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the datagram endpoint is closed"));
        }
        let nothing_waits = endpoint.unsent.borrow().is_empty();
        if nothing_waits {
            match endpoint.send_now(bytes, to.as_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result.map(drop),
            }
        }
        let unsent_bytes = endpoint.unsent_bytes.get() + weight(bytes);
        if unsent_bytes > MOST_UNSENT_BYTES {
            let message = format!("{} bytes wait to be sent already", endpoint.unsent_bytes.get());
            return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
        }
        endpoint.unsent_bytes.set(unsent_bytes);
        endpoint.unsent.borrow_mut().push_back((bytes.to_vec(), to));
        endpoint.word.grant_all(());
        Ok(())
    }

    /// Ends the endpoint once all that waits to be sent is sent; nothing more is received.
    pub fn close(&self) {
        self.endpoint.closing.set(true);
        self.endpoint.word.grant_all(());
    }

    /// Whether it was closed, or its task is over.
    pub fn is_closing(&self) -> bool {
        self.endpoint.closing.get()
    }

    /// The socket, for its addresses and options.
    pub fn socket(&self) -> &DatagramSocket<S> {
        &self.endpoint.socket
    }
}

impl<S: Datagrams> Clone for DatagramTransport<S> {
    fn clone(&self) -> DatagramTransport<S> {
        DatagramTransport { endpoint: self.endpoint.clone() }
    }
}

impl<S: Datagrams> fmt::Debug for DatagramTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramTransport(fd {})", self.socket().as_raw_fd())
    }
}

/// What happens to an endpoint.
enum Occasion<A> {
    /// A datagram came; so many bytes of the buffer.
    Received(usize, A),
    /// A call failed.
    Failed(io::Error),
    /// The end.
    Closed,
}

impl<S: Datagrams> Endpoint<S> {
    /// Sends now.
    fn send_now(&self, bytes: &[u8], to: Option<&S::Address>) -> io::Result<usize> {
        match to {
            Some(to) => self.socket.try_send_by(bytes, &S::encode(to)?),
            None => self.socket.try_send(bytes),
        }
    }

    /// Sends one that waits.
    fn poll_send(
        &self,
        context: &mut Context<'_>,
        waits: &mut Waits<'_>,
        (bytes, to): &Unsent<S::Address>,
    ) -> Poll<io::Result<usize>> {
        let to = to.as_ref().map(S::encode).transpose()?;
        let Waits { write, patience, .. } = waits;
        self.socket.poll_send_patiently(context, write, patience, bytes, to.as_ref())
    }

    /// Sends what waits. Ready with an error, or when nothing waits any more.
    fn poll_unsent(&self, context: &mut Context<'_>, waits: &mut Waits<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(first) = self.unsent.borrow_mut().pop_front() else {
                return Poll::Ready(Ok(()));
            };
            let sent = self.poll_send(context, waits, &first);
            if sent.is_pending() {
                self.unsent.borrow_mut().push_front(first);
                return Poll::Pending;
            }
            self.unsent_bytes.set(self.unsent_bytes.get() - weight(&first.0));
            if let Poll::Ready(Err(error)) = sent {
                return Poll::Ready(Err(error));
            }
        }
    }
}

/// The endpoint's task. When it goes, in whatever manner, the transport is closed.
struct Task<S: Datagrams> {
    /// What it shares with the transport.
    endpoint: Rc<Endpoint<S>>,
    /// Where it waits for word of that.
    place: Place,
}

/// How the endpoint's task waits for its socket; nothing of it is left when the task is over.
struct Waits<'a> {
    /// For a datagram.
    read: Wait<'a>,
    /// For room.
    write: Wait<'a>,
    /// The same where nobody tells of it.
    patience: Patience,
}

impl<S: Datagrams> Task<S> {
    /// Calls the protocol until the end.
    async fn run<P: DatagramProtocol<S>>(mut self, mut protocol: P) -> P {
        let endpoint = self.endpoint.clone();
        let registration = endpoint.socket.socket().registration();
        let (read, write) = (registration.wait(Direction::Read), registration.wait(Direction::Write));
        let mut waits = Waits { read, write, patience: Patience::default() };
        protocol.connection_made(DatagramTransport { endpoint: self.endpoint.clone() });
        let mut buffer = vec![0; S::LONGEST];
        loop {
            match poll_fn(|context| self.poll_occasion(context, &mut waits, &mut buffer)).await {
                Occasion::Received(count, from) => protocol.datagram_received(&buffer[..count], from),
                Occasion::Failed(error) => protocol.error_received(error),
                Occasion::Closed => break,
            }
        }
        protocol.connection_lost();
        protocol
    }

    /// What happens next.
    fn poll_occasion(
        &mut self,
        context: &mut Context<'_>,
        waits: &mut Waits<'_>,
        buffer: &mut [u8],
    ) -> Poll<Occasion<S::Address>> {
        let endpoint = &self.endpoint;
        match endpoint.poll_unsent(context, waits) {
            Poll::Ready(Err(error)) => return Poll::Ready(Occasion::Failed(error)),
            Poll::Ready(Ok(())) if endpoint.closing.get() => return Poll::Ready(Occasion::Closed),
            _ => {}
        }
        if !endpoint.closing.get()
            && let Poll::Ready(received) =
                endpoint.socket.poll_recv_datagram(context, &mut waits.read, buffer)
        {
            return Poll::Ready(match received {
                Ok(datagram) if datagram.is_cut() => Occasion::Failed(too_long(&datagram)),
                Ok(datagram) => Occasion::Received(datagram.bytes, datagram.from),
                Err(error) => Occasion::Failed(error),
            });
        }
        let reason = WaitReason::Read(endpoint.socket.as_raw_fd());
        // Word that has come by now was heeded above; what is waited for is the next.
        while endpoint.word.poll_grant(&mut self.place, context, reason, ()).is_ready() {}
        Poll::Pending
    }
}

/// As how many bytes a datagram counts while it waits.
fn weight(bytes: &[u8]) -> usize {
    bytes.len().max(LEAST_UNSENT_BYTES)
}

/// A datagram did not fit into the buffer.
fn too_long(cut: &Datagram<impl fmt::Display>) -> io::Error {
    let Datagram { whole_bytes, bytes, from } = cut;
    let message =
        format!("a datagram of {whole_bytes} bytes, sent by {from}, is too long: {bytes} are the most");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl<S: Datagrams> Drop for Task<S> {
    fn drop(&mut self) {
        self.endpoint.closing.set(true);
        let _ = self.endpoint.word.leave(&mut self.place);
    }
}

//! What every datagram socket can do, whatever its addresses are: UDP or a Unix socket.
//!
//! Facts, then what they force on us:
//! * A datagram that is longer than the buffer is cut, silently, unless one asks (`MSG_TRUNC`,
//!   recv(2)): [`DatagramSocket::recv_datagram`] does.
//! * An error may belong to an earlier datagram: a refusal that came back (ICMP, udp(7)) is reported
//!   by the next call, once. The socket lives on.
//! * A Unix socket whose receiver is full may be told so (`EAGAIN`) and be writable at once, again and again:
//!   each refused call makes an edge of its own, and the receiver's reading makes none. So after a second
//!   refusal comes a pause (`patience.rs`). A connected socket has an edge when there is room.
//! * A short datagram says nothing about the next one: readiness is cleared by `WouldBlock` alone.
//!
//! Read next: `udp.rs`.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

use libc::c_int;
use socket2::{SockAddr, SockRef};

use super::patience::Patience;
use crate::id::WaitReason;
use crate::io::nonblocking::Nonblocking;
use crate::io::registration::Wait;
use crate::reactor::Direction;
use crate::task::here;

/// A socket of std for datagrams, and how its addresses look. Not exported: the kernel's form of an address
/// stays out of the public interface.
pub trait Datagrams: AsFd {
    /// The address of a sender or receiver.
    type Address: fmt::Display;

    /// How many bytes a datagram has at most, but for unusual options.
    const LONGEST: usize;

    /// The address as the kernel takes it.
    ///
    /// # Errors
    /// If it is no address of a receiver.
    fn encode(address: &Self::Address) -> io::Result<SockAddr>;

    /// The address that the kernel gave.
    ///
    /// # Errors
    /// If it is of another family.
    fn decode(address: &SockAddr) -> io::Result<Self::Address>;
}

/// What became of a datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<A> {
    /// How many bytes it had on its way.
    pub whole_bytes: usize,
    /// How many of them are in the buffer, from its start.
    pub bytes: usize,
    /// Who sent it.
    pub from: A,
}

impl<A> Datagram<A> {
    /// Whether the buffer was too short for it: the rest is lost.
    pub fn is_cut(&self) -> bool {
        self.bytes < self.whole_bytes
    }
}

/// A socket for datagrams: [`UdpSocket`](crate::net::UdpSocket) or
/// [`UnixDatagram`](crate::net::UnixDatagram). Dropping it closes it.
#[derive(Debug)]
pub struct DatagramSocket<S: AsFd> {
    /// The socket.
    socket: Nonblocking<S>,
}

impl<S: Datagrams> DatagramSocket<S> {
    /// Takes a socket from std in, or one set up with socket2; it is made non-blocking.
    ///
    /// # Errors
    /// As [`Nonblocking::new`].
    pub fn from_std(socket: S) -> io::Result<DatagramSocket<S>> {
        Ok(DatagramSocket { socket: Nonblocking::new(socket)? })
    }

    /// Takes the socket out of the loop; it stays non-blocking.
    pub fn into_std(self) -> S {
        self.socket.into_inner()
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Nonblocking<S> {
        &self.socket
    }

    /// Sends one datagram to the address that the socket is connected to; says how many bytes it had.
    ///
    /// # Errors
    /// What send(2) reports: `EMSGSIZE` if it is too long (65,507 bytes are the most over IPv4),
    /// `ECONNREFUSED` if an earlier one was refused, `EDESTADDRREQ` if the socket is not connected. Or
    /// outside of the loop that the socket belongs to.
    ///
    /// # Cancel safety
    /// If it is dropped, nothing was sent.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write_with(|socket| send(socket, bytes)).await
    }

    /// Sends one datagram to `to`; says how many bytes it had.
    ///
    /// # Errors
    /// As [`send`](DatagramSocket::send).
    ///
    /// # Cancel safety
    /// If it is dropped, nothing was sent.
    pub async fn send_to(&self, bytes: &[u8], to: impl Into<S::Address>) -> io::Result<usize> {
        let to = S::encode(&to.into())?;
        let mut wait = self.socket.registration().wait(Direction::Write);
        let mut patience = Patience::default();
        poll_fn(|context| self.poll_send_patiently(context, &mut wait, &mut patience, bytes, Some(&to))).await
    }

    /// Receives one datagram; says how many of its bytes are in `buffer`. What does not fit is lost.
    /// From a connected socket only its peer's datagrams come.
    ///
    /// # Errors
    /// What recv(2) reports: `ECONNREFUSED` if one that was sent was refused; the next call goes on. Or
    /// outside of the loop that the socket belongs to.
    ///
    /// # Cancel safety
    /// If it is dropped, no datagram was taken.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read_with(|socket| receive(socket, buffer)).await
    }

    /// Receives one datagram; says how many of its bytes are in `buffer`, and who sent it. What does not
    /// fit is lost; to know about that, use [`recv_datagram`](DatagramSocket::recv_datagram).
    ///
    /// # Errors
    /// As [`recv`](DatagramSocket::recv).
    ///
    /// # Cancel safety
    /// If it is dropped, no datagram was taken.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.recv_datagram(buffer).await.map(|datagram| (datagram.bytes, datagram.from))
    }

    /// Receives one datagram; says how long it was, also if it was longer than `buffer`.
    ///
    /// # Errors
    /// As [`recv`](DatagramSocket::recv).
    ///
    /// # Cancel safety
    /// If it is dropped, no datagram was taken.
    pub async fn recv_datagram(&self, buffer: &mut [u8]) -> io::Result<Datagram<S::Address>> {
        self.socket.read_with(|socket| receive_from(socket, buffer, 0)).await
    }

    /// Looks at the next datagram, which stays to be received.
    ///
    /// # Errors
    /// As [`recv`](DatagramSocket::recv).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let seen = self.socket.read_with(|socket| receive_from(socket, buffer, libc::MSG_PEEK)).await;
        seen.map(|datagram| (datagram.bytes, datagram.from))
    }

    /// Sends one datagram to the peer, now.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room for it; else as [`send`](DatagramSocket::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.try_write_with(|socket| send(socket, bytes))
    }

    /// Sends one datagram to `to`, now.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room for it; else as [`send`](DatagramSocket::send).
    pub fn try_send_to(&self, bytes: &[u8], to: impl Into<S::Address>) -> io::Result<usize> {
        self.try_send_by(bytes, &S::encode(&to.into())?)
    }

    /// Sends one datagram, to the peer or to `to`. Who is refused again and again pauses in between, whatever
    /// epoll tells.
    pub(crate) fn poll_send_patiently(
        &self,
        context: &mut Context<'_>,
        wait: &mut Wait<'_>,
        patience: &mut Patience,
        bytes: &[u8],
        to: Option<&SockAddr>,
    ) -> Poll<io::Result<usize>> {
        let socket = self.socket.get_ref();
        loop {
            if patience.is_pausing() {
                // Before the sleep says its own.
                here::waits_for(WaitReason::Write(self.as_raw_fd()));
            }
            ready!(patience.poll(context));
            let mut was_tried = false;
            let sent = wait.poll_call(context, || {
                was_tried = true;
                to.map_or_else(|| send(socket, bytes), |to| send_to(socket, bytes, to))
            });
            if sent.is_ready() {
                *patience = Patience::default();
                return sent;
            }
            if !was_tried {
                return Poll::Pending;
            }
            patience.begin_pause();
        }
    }

    /// The same to an address of the kernel's form.
    pub(crate) fn try_send_by(&self, bytes: &[u8], to: &SockAddr) -> io::Result<usize> {
        self.socket.try_write_with(|socket| send_to(socket, bytes, to))
    }

    /// Receives one datagram, now.
    ///
    /// # Errors
    /// `WouldBlock` if none has come; else as [`recv`](DatagramSocket::recv).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_read_with(|socket| receive(socket, buffer))
    }

    /// Receives one datagram, now; says who sent it.
    ///
    /// # Errors
    /// `WouldBlock` if none has come; else as [`recv`](DatagramSocket::recv).
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let received = self.socket.try_read_with(|socket| receive_from(socket, buffer, 0))?;
        Ok((received.bytes, received.from))
    }

    /// The poll behind [`send`](DatagramSocket::send).
    ///
    /// # Errors
    /// As [`send`](DatagramSocket::send).
    pub fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write_with(context, |socket| send(socket, bytes))
    }

    /// The poll behind [`send_to`](DatagramSocket::send_to), which pauses if the receiver stays full; this
    /// has nowhere to keep a pause, and the task may be woken in vain.
    ///
    /// # Errors
    /// As [`send`](DatagramSocket::send).
    pub fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        to: &S::Address,
    ) -> Poll<io::Result<usize>> {
        let to = S::encode(to)?;
        self.socket.poll_write_with(context, |socket| send_to(socket, bytes, &to))
    }

    /// The poll behind [`recv`](DatagramSocket::recv).
    ///
    /// # Errors
    /// As [`recv`](DatagramSocket::recv).
    pub fn poll_recv(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_read_with(context, |socket| receive(socket, buffer))
    }

    /// The poll behind [`recv_from`](DatagramSocket::recv_from).
    ///
    /// # Errors
    /// As [`recv`](DatagramSocket::recv).
    pub fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        let received = self.socket.poll_read_with(context, |socket| receive_from(socket, buffer, 0));
        received.map_ok(|datagram| (datagram.bytes, datagram.from))
    }

    /// The poll behind [`recv_datagram`](DatagramSocket::recv_datagram), with a wait that the caller owns.
    pub(crate) fn poll_recv_datagram(
        &self,
        context: &mut Context<'_>,
        wait: &mut Wait<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Datagram<S::Address>>> {
        wait.poll_call(context, || receive_from(self.socket.get_ref(), buffer, 0))
    }

    /// Waits until a datagram, or an error, may be there; [`try_recv`](DatagramSocket::try_recv) tells.
    ///
    /// # Errors
    /// Outside of the loop that the socket belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Waits until there may be room to send; [`try_send`](DatagramSocket::try_send) tells.
    ///
    /// # Errors
    /// Outside of the loop that the socket belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }
}

/// Sends to the peer. A peer that is gone is an error, never a signal.
fn send(socket: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(socket).send_with_flags(bytes, libc::MSG_NOSIGNAL)
}

/// Sends to `to`.
fn send_to(socket: &impl AsFd, bytes: &[u8], to: &SockAddr) -> io::Result<usize> {
    SockRef::from(socket).send_to_with_flags(bytes, to, libc::MSG_NOSIGNAL)
}

/// Receives what fits into `buffer`.
fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    SockRef::from(socket).recv_with_flags(writable(buffer), 0)
}

/// Receives what fits into `buffer`, asking for the whole length and the sender.
fn receive_from<S: Datagrams>(
    socket: &S,
    buffer: &mut [u8],
    flags: c_int,
) -> io::Result<Datagram<S::Address>> {
    let received = SockRef::from(socket).recv_from_with_flags(writable(buffer), flags | libc::MSG_TRUNC);
    let (whole_bytes, from) = received?;
    Ok(Datagram { whole_bytes, bytes: whole_bytes.min(buffer.len()), from: S::decode(&from)? })
}

/// The buffer as socket2 wants it.
fn writable(buffer: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the two have the same layout, and nothing uninitialised is written: socket2 promises
    // that for each of its receiving calls, to both of which alone this goes. Tested by `tests/udp.rs`.
    unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) }
}

impl<S: AsFd> AsFd for DatagramSocket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl<S: AsFd> AsRawFd for DatagramSocket<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

//! Which public types are `Send` and `Sync`: the whole table, decided at compile time.

use std::marker::PhantomData;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use greenroom::blocking::{
    Imap, JobError, JobHandle, NotStarted, Pool, PoolBuilder, PoolReport, PoolStatistics, Refused,
};
use greenroom::channel::{SendError, TryRecvError, TrySendError};
use greenroom::io::{
    BrokenCopy, Duplex, Hostile, IncompleteRead, LimitOverrun, LineReader, LineSplitter, LineTooLong,
    Nonblocking, Stdin, StreamReader, StreamWriter, TooLong,
};
use greenroom::net::{
    AcceptError, Address, Connection, Datagram, DatagramTransport, Drain, Incoming, ListenOptions,
    NotOneStream, OwnedReadHalf, OwnedWriteHalf, PeerCredentials, ReadHalf, Server, ServerReport,
    TcpListener, TcpStream, UdpSocket, UnixAddress, UnixDatagram, UnixListenOptions, UnixListener, WriteHalf,
};
use greenroom::process::{Child, ChildStdin, Command};
use greenroom::signal::Signal;
use greenroom::*;

/// Asks about one type: the inherent constants hide those of the trait where they exist.
pub struct Probe<T: ?Sized>(PhantomData<T>);

pub trait No {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T: ?Sized> No for Probe<T> {}

impl<T: ?Sized + Send> Probe<T> {
    pub const SEND: bool = true;
}

impl<T: ?Sized + Sync> Probe<T> {
    pub const SYNC: bool = true;
}

macro_rules! table {
    ($($type:ty: $send:literal $sync:literal,)*) => {
        [$((stringify!($type), (Probe::<$type>::SEND, Probe::<$type>::SYNC), ($send, $sync)),)*]
    };
}

pub(crate) use table;

/// A row: the type, whether it is `Send` and `Sync`, and whether it should be.
pub type Row = (&'static str, (bool, bool), (bool, bool));

#[track_caller]
pub fn assert_right(rows: &[Row]) {
    let wrong: Vec<&Row> = rows.iter().filter(|(_, is, should)| is != should).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_may_cross_threads_and_what_may_not() {
    let rows = table! {
        // The whole belongs to its thread, with what it is built from and told through.
        Runtime: false false,
        Builder: false false,
        Recorder: false false,
        // For other threads.
        Handle: true true,
        RemoteJoinHandle<u8>: true true,
        RemoteJoinHandle<std::cell::Cell<u8>>: true true,
        RemoteJoinHandle<Rc<u8>>: false false,
        Pool: true true,
        JobHandle<u8>: true true,
        JobHandle<std::cell::Cell<u8>>: true true,
        JobHandle<Rc<u8>>: false false,
        Imap<std::ops::Range<u8>, fn(u8) -> u8, u8>: true true,
        Imap<std::vec::IntoIter<Rc<u8>>, fn(Rc<u8>) -> u8, u8>: false false,
        // A key and an address: they may travel, and say so when used far from home.
        JoinHandle<u8>: true true,
        JoinHandle<Rc<u8>>: false false,
        Cancel<'static, u8>: true true,
        Cancel<'static, Rc<u8>>: false false,
        CallHandle: true true,
        Sleep: true true,
        Interval: true true,
        YieldNow: true true,
        TcpStream: true true,
        TcpListener: true true,
        ReadHalf<'static>: true true,
        WriteHalf<'static>: true true,
        OwnedReadHalf: true true,
        OwnedWriteHalf: true true,
        Incoming<'static, TcpListener>: true true,
        UdpSocket: true true,
        greenroom::net::UnixStream: true true,
        UnixListener: true true,
        UnixDatagram: true true,
        Nonblocking<UnixStream>: true true,
        LineReader<TcpStream>: true true,
        StreamReader<TcpStream>: true true,
        Hostile<TcpStream>: true true,
        Signal: true true,
        Stdin: true true,
        Child: true true,
        ChildStdin: true true,
        Command: true true,
        Server: true true,
        // Both ends of a pipe are one's own, and so are a writer and its carrier.
        Duplex: false false,
        Hostile<Duplex>: false false,
        StreamWriter: false false,
        // Connections of one server share a counter, which is the loop's.
        Connection: false false,
        Drain: false false,
        // So do a datagram endpoint and its task.
        DatagramTransport: false false,
    };
    assert_right(&rows);
}

#[test]
fn a_stack_never_leaves_its_thread() {
    let rows = table! {
        green::GreenThread<u8>: false false,
        // A stream stays what it was, and a key is no value.
        green::StdIo<TcpStream>: true true,
        green::StdIo<Duplex>: false false,
        green::Incoming<'static, TcpListener>: true true,
        green::Local<Rc<u8>>: true true,
        green::Builder: true true,
        green::Cancellation: true true,
        green::CannotWait: true true,
    };
    assert_right(&rows);
}

#[test]
fn plain_data_and_errors_may_go_anywhere() {
    let rows = table! {
        AcceptError: true true,
        Address: true true,
        BrokenCopy: true true,
        IncompleteRead: true true,
        LimitOverrun: true true,
        BlockOnError: true true,
        Datagram<UnixAddress>: true true,
        Elapsed: true true,
        Ending: true true,
        Event<'static>: true true,
        JobError: true true,
        JoinError: true true,
        LineSplitter: true true,
        LineTooLong: true true,
        ListenOptions: true true,
        LoopGone: true true,
        MissedTicks: true true,
        NoLoop: true true,
        NotOneStream: true true,
        NotStarted: true true,
        Order: true true,
        PoolBuilder: true true,
        Primitive: true true,
        PrimitiveId: true true,
        PoolReport: true true,
        PoolStatistics: true true,
        Refused<fn()>: true true,
        Rng: true true,
        PeerCredentials: true true,
        ServerReport: true true,
        SendError<u8>: true true,
        ShutdownReport: true true,
        SlowPolls: true false,
        Stalled: true true,
        TaskId: true true,
        TaskInfo: true true,
        TooLong: true true,
        Tracer: true true,
        TryRecvError: true true,
        TrySendError<u8>: true true,
        Turn: true true,
        UnixAddress: true true,
        UnixListenOptions: true true,
        WaitReason: true true,
    };
    assert_right(&rows);
}

#[test]
fn futures_made_of_our_types_are_send() {
    fn is_send<T: Send>(_: &T) {}
    let future = async {
        let stream = TcpStream::connect("127.0.0.1:1").await?;
        timeout(std::time::Duration::from_secs(1), sleep(std::time::Duration::from_secs(2))).await?;
        stream.write_all(b"x").await?;
        yield_now().await;
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect("127.0.0.1:1").await?;
        let (_, from) = socket.recv_from(&mut [0; 9]).await?;
        socket.send_to(b"x", from).await?;
        let stream = greenroom::net::UnixStream::connect("/nowhere").await?;
        UnixListener::bind("/nowhere")?.accept().await?;
        stream.read(&mut [0; 9]).await?;
        let mut reader = StreamReader::new(&stream);
        let head = reader.read_until(b"\r\n", 99).await?;
        reader.read_exactly(head.len()).await
    };
    is_send(&future);
}

//! A whole server in callbacks: a listener that is watched, and for each connection a reader, and a
//! writer while the client does not take what it is sent.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use greenroom::{
    Rng, Runtime, add_reader, add_writer, remove_reader, remove_writer, spawn, timeout, yield_now,
};

use super::SECOND;

/// One client's connection.
struct Connection {
    /// The socket.
    stream: TcpStream,
    /// What is still to be sent back.
    unsent: RefCell<VecDeque<u8>>,
    /// Whether the client has said all.
    ended: Cell<bool>,
    /// How many connections there are, this one among them.
    open: Rc<Cell<usize>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

/// Takes in whoever knocks.
fn accept(listener: &TcpListener, open: &Rc<Cell<usize>>) {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true).unwrap();
            open.set(open.get() + 1);
            let (unsent, ended) = (RefCell::default(), Cell::new(false));
            listen_to(&Rc::new(Connection { stream, unsent, ended, open: open.clone() }));
        }
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
    }
}

/// Watches what the client says.
fn listen_to(connection: &Rc<Connection>) {
    let this = connection.clone();
    add_reader(&connection.stream, move || on_readable(&this)).unwrap();
}

/// The client has said something; while it is being sent back, no more is read.
fn on_readable(connection: &Rc<Connection>) {
    let mut buffer = [0; 4096];
    match (&connection.stream).read(&mut buffer) {
        Ok(0) => connection.ended.set(true),
        Ok(count) => connection.unsent.borrow_mut().extend(&buffer[..count]),
        Err(error) => return assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
    }
    send(connection);
    if connection.ended.get() || !connection.unsent.borrow().is_empty() {
        remove_reader(&connection.stream);
    }
    if !connection.unsent.borrow().is_empty() {
        let this = connection.clone();
        add_writer(&connection.stream, move || on_writable(&this)).unwrap();
    }
}

/// There is room for more.
fn on_writable(connection: &Rc<Connection>) {
    send(connection);
    if connection.unsent.borrow().is_empty() {
        remove_writer(&connection.stream);
        listen_to(connection);
    }
}

/// Sends what fits.
fn send(connection: &Connection) {
    let mut unsent = connection.unsent.borrow_mut();
    while !unsent.is_empty() {
        match (&connection.stream).write(unsent.as_slices().0) {
            Ok(count) => drop(unsent.drain(..count)),
            Err(error) => return assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
}

/// Sends `messages` of up to 300,000 bytes each, and reads each back slowly.
async fn talk(address: std::net::SocketAddr, seed: u64, messages: usize) {
    let mut rng = Rng::new(seed);
    let stream = greenroom::net::TcpStream::connect(address).await.unwrap();
    for _ in 0..messages {
        let bits = rng.below(19);
        let length = 1 + rng.below(1 << bits);
        let message: Vec<u8> = (0..length).map(|at| (at as u64 * 31 + seed) as u8).collect();
        let send = async { stream.write_all(&message).await.unwrap() };
        let receive = async {
            let (mut back, mut buffer) = (Vec::new(), vec![0_u8; 10_000]);
            while back.len() < length {
                let count = stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "seed {seed}: the server hung up");
                back.extend_from_slice(&buffer[..count]);
                yield_now().await;
            }
            back
        };
        let ((), back) = futures::join!(send, receive);
        assert!(back == message, "seed {seed}: not the same bytes came back");
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
}

#[test]
fn a_server_of_callbacks_sends_everything_back() {
    let (runtime, open) = (Runtime::new().unwrap(), Rc::new(Cell::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = Rc::new(listener);
    let (door, count) = (listener.clone(), open.clone());
    runtime.enter(|| add_reader(&*listener, move || accept(&door, &count)).unwrap());
    runtime.block_on(async {
        let clients: Vec<_> = (0..20).map(|seed| spawn(talk(address, seed, 10))).collect();
        for client in clients {
            timeout(60 * SECOND, client).await.expect("no byte got stuck").unwrap();
        }
        assert_eq!(open.get(), 0, "each connection went with its last callback");
        remove_reader(&*listener);
    });
    assert_eq!(Rc::strong_count(&listener), 1);
}

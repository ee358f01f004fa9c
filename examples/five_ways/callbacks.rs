//! The echo server in callbacks: functions that the loop calls when there is something to do, and that leave word
//! about what they want to be called for next.
//!
//! A connection is read from while nothing is unsent, and written to while something is: for one of the two its
//! callback is registered, and owns it. Without any it is closed.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use greenroom::{Runtime, add_reader, add_writer, call_later, remove_reader, remove_writer};

/// How long not to accept when descriptors run out.
const PAUSE: Duration = Duration::from_secs(1);

/// One client.
struct Connection {
    /// The connection.
    stream: TcpStream,
    /// What is to be sent back before more is read.
    unsent: RefCell<Vec<u8>>,
}

/// Serves until `stop` can be read.
pub fn serve(listener: TcpListener, stop: UnixStream) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = Runtime::new()?;
    runtime.enter(|| {
        watch(&Rc::new(listener));
        add_reader(&stop, greenroom::stop)
    })?;
    runtime.run().map_err(io::Error::other)
}

/// Lets the loop call when somebody knocks.
fn watch(listener: &Rc<TcpListener>) {
    let door = listener.clone();
    if let Err(error) = add_reader(&**listener, move || accept(&door)) {
        pause(listener, &error);
    }
}

/// Takes one client in.
fn accept(listener: &Rc<TcpListener>) {
    match listener.accept() {
        Ok((stream, _)) => {
            let is_ready = stream.set_nonblocking(true);
            let connection = Rc::new(Connection { stream, unsent: RefCell::default() });
            // One that cannot be watched has no owner, and is closed.
            let _ = is_ready.and_then(|()| listen_to(&connection));
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => pause(listener, &error),
    }
}

/// Takes nobody in for a while.
fn pause(listener: &Rc<TcpListener>, error: &io::Error) {
    log::warn!("cannot accept for now: {error}");
    remove_reader(&**listener);
    let door = listener.clone();
    call_later(PAUSE, move || watch(&door));
}

/// Lets the loop call when the client has sent something, or has gone.
fn listen_to(connection: &Rc<Connection>) -> io::Result<()> {
    let this = connection.clone();
    add_reader(&connection.stream, move || hear(&this))
}

/// Takes in what the client has sent.
fn hear(connection: &Rc<Connection>) {
    let mut buffer = [0; 4096];
    match (&connection.stream).read(&mut buffer) {
        Ok(count @ 1..) => {
            connection.unsent.borrow_mut().extend_from_slice(&buffer[..count]);
            send(connection);
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        _ => drop(remove_reader(&connection.stream)),
    }
}

/// Sends what the connection takes now, and turns from reading to writing or back if that is what comes next.
fn send(connection: &Rc<Connection>) {
    let Connection { stream, unsent } = &**connection;
    let sent = (&*stream).write(&unsent.borrow());
    match sent {
        Ok(count) => drop(unsent.borrow_mut().drain(..count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => {
            remove_reader(stream);
            remove_writer(stream);
            return;
        }
    }
    let is_all_sent = unsent.borrow().is_empty();
    let _ = match is_all_sent {
        true if remove_writer(stream) => listen_to(connection),
        false if remove_reader(stream) => {
            let this = connection.clone();
            add_writer(stream, move || send(&this))
        }
        _ => Ok(()),
    };
}

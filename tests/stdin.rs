//! Standard input of every kind, as a program with the runtime meets it.
//!
//! Each test runs this test program again, as the subject of `subjects`, with a standard input of its choice.
//! To replay one: `cargo test --test stdin <name>`.

#[path = "support/process/terminal.rs"]
mod terminal;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use greenroom::io::{LineReader, Stdin, stdin};
use greenroom::{Runtime, WaitReason, sleep, spawn, tasks, timeout, yield_now};

/// The variable that says which subject a child is.
const SUBJECT: &str = "GREENROOM_TEST_SUBJECT";

/// A subject, and what it says on standard output.
struct Subject {
    /// The process.
    child: Child,
}

impl Subject {
    /// Starts the subject `name`.
    fn start(name: &str, input: impl Into<Stdio>) -> Subject {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["subjects", "--exact", "--nocapture", "--test-threads=1"]).env(SUBJECT, name);
        Subject { child: command.stdin(input).stdout(Stdio::piped()).spawn().unwrap() }
    }

    /// Reads what it says, up to and with `words`.
    #[track_caller]
    fn says(&mut self, words: &str) {
        let mut heard = Vec::new();
        while !heard.ends_with(words.as_bytes()) {
            let mut byte = [0];
            let count = self.child.stdout.as_mut().unwrap().read(&mut byte).unwrap();
            assert!(count > 0, "it ended without saying {words:?}:\n{}", String::from_utf8_lossy(&heard));
            heard.push(byte[0]);
        }
    }

    /// Waits until it has ended by itself, in good order; the rest of what it said.
    #[track_caller]
    fn ends(mut self) -> String {
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}:\n{said}");
        said
    }
}

/// What a child does; nothing in the program that the tests run in.
#[test]
fn subjects() {
    let Ok(subject) = std::env::var(SUBJECT) else { return };
    // SAFETY: alarm(2) takes a number; its SIGALRM ends a child that hangs.
    unsafe { libc::alarm(20) };
    let flags = flags_of_stdin();
    Runtime::new().unwrap().block_on(async {
        match &*subject {
            "lines" => lines(stdin().unwrap()).await,
            "gives up" => gives_up().await,
            "patient" => patient().await,
            "two" => two().await,
            "rests" => rests().await,
            "hangs up" => hangs_up().await,
            "refused" => refused().await,
            "closed" => closed().await,
            other => panic!("there is no subject {other:?}"),
        }
    });
    if subject != "closed" {
        assert_eq!(flags_of_stdin(), flags, "the open file is as it was");
    }
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    assert!(threads <= 2, "the test's thread and its parent, no other: {threads}");
}

fn flags_of_stdin() -> i32 {
    // SAFETY: fcntl(2) with F_GETFL takes two numbers.
    unsafe { libc::fcntl(0, libc::F_GETFL) }
}

/// Prints every line as it comes.
async fn lines(input: Stdin) {
    let mut reader = LineReader::new(input, 100_000);
    while let Some(line) = reader.next_line().await.unwrap() {
        println!("line {:?} of {}", String::from_utf8_lossy(&line[..line.len().min(9)]), line.len());
    }
    println!("end after {} bytes", reader.bytes());
}

/// Waits for a while, and ends with its input still open.
async fn gives_up() {
    let mut input = stdin().unwrap();
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(5), input.read(&mut [0; 9])).await.is_err());
    }
    let waiting = spawn(async move { input.read(&mut [0; 9]).await });
    yield_now().await;
    assert!(tasks().iter().any(|task| task.reason == WaitReason::Read(0)), "{:?}", tasks());
    waiting.detach();
    println!("gives up");
}

/// Drops its wait again and again, before and after something comes.
async fn patient() {
    let mut reader = LineReader::new(stdin().unwrap(), 1000);
    println!("waits");
    let mut given_up = 0;
    loop {
        match timeout(Duration::from_millis(1), reader.next_line()).await {
            Err(_) => given_up += 1,
            Ok(Ok(Some(line))) => println!("line {:?}", String::from_utf8_lossy(&line)),
            Ok(end) => break assert_eq!(end.unwrap(), None),
        }
    }
    println!("given up {}", given_up > 0);
}

/// Two readers, byte for byte: woken together, they get each byte once, and neither blocks the loop.
async fn two() {
    println!("waits");
    let reader = || {
        spawn(async {
            let (mut input, mut bytes) = (stdin().unwrap(), Vec::new());
            let mut byte = [0];
            while input.read(&mut byte).await.unwrap() == 1 {
                bytes.push(byte[0]);
                yield_now().await;
                if byte == *b"!" {
                    sleep(Duration::from_millis(1)).await;
                    println!("alive");
                }
            }
            bytes
        })
    };
    let (first, second) = (reader(), reader());
    let (mut all, second) = (first.await.unwrap(), second.await.unwrap());
    all.extend(second);
    all.sort_unstable();
    println!("bytes {:?}", String::from_utf8(all).unwrap());
}

/// Reads a file that is always ready, beside a task that wants its turn as well.
async fn rests() {
    let turns = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = turns.clone();
    let other = spawn(async move {
        loop {
            count.set(count.get() + 1);
            yield_now().await;
        }
    });
    let mut input = stdin().unwrap();
    for _ in 0..1000 {
        assert_eq!(input.read(&mut [7]).await.unwrap(), 1);
    }
    println!("turns {}", turns.get() > 5);
    drop(other);
}

/// Waits at a terminal that goes away.
async fn hangs_up() {
    println!("waits");
    match stdin().unwrap().read(&mut [0]).await {
        Ok(0) => {}
        other => assert_eq!(other.unwrap_err().raw_os_error(), Some(libc::EIO)),
    }
    println!("gone");
}

/// Reads from what cannot be read.
async fn refused() {
    let error = stdin().unwrap().read(&mut [0]).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
}

/// Has closed its input itself.
async fn closed() {
    // SAFETY: nobody here owns descriptor 0.
    assert_eq!(unsafe { libc::close(0) }, 0);
    let error = stdin().unwrap_err().to_string();
    assert!(error.starts_with("standard input cannot be used: Bad file descriptor"), "{error}");
}

#[test]
fn lines_come_through_a_pipe_as_they_are_written() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut subject = Subject::start("lines", reader);
    writer.write_all(b"one\ntw").unwrap();
    subject.says("line \"one\" of 3\n");
    writer.write_all(b"o\n").unwrap();
    subject.says("line \"two\" of 3\n");
    writer.write_all(&[b'x'; 90_000]).unwrap();
    drop(writer);
    subject.says("line \"xxxxxxxxx\" of 90000\nend after 90008 bytes\n");
    subject.ends();
}

#[test]
fn lines_come_through_a_socket() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut subject = Subject::start("lines", OwnedFd::from(theirs));
    ours.write_all(b"one\n").unwrap();
    subject.says("line \"one\" of 3\n");
    drop(ours);
    subject.says("end after 4 bytes\n");
    subject.ends();
}

#[test]
fn lines_come_from_a_terminal_and_control_d_ends_them() {
    let (mut person, screen) = terminal::pair();
    let mut subject = Subject::start("lines", screen);
    person.write_all(b"one\ntwo\n").unwrap();
    subject.says("line \"one\" of 3\nline \"two\" of 3\n");
    // The terminal edits the line: Backspace takes the x away.
    person.write_all(b"thx\x7free\n\x04").unwrap();
    subject.says("line \"three\" of 5\nend after 14 bytes\n");
    subject.ends();
}

#[test]
fn a_terminal_that_goes_away_ends_the_wait() {
    let (person, screen) = terminal::pair();
    let mut subject = Subject::start("hangs up", screen);
    subject.says("waits\n");
    drop(person);
    subject.says("gone\n");
    subject.ends();
}

#[test]
fn lines_come_from_a_file_and_from_nothing() {
    let path = std::env::temp_dir().join(format!("greenroom-stdin-{}", std::process::id()));
    let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(b"one\r\ntwo\nthree").unwrap();
    file.rewind().unwrap();
    let mut subject = Subject::start("lines", file);
    subject.says("line \"one\" of 3\nline \"two\" of 3\nline \"three\" of 5\nend after 14 bytes\n");
    subject.ends();
    let mut subject = Subject::start("lines", Stdio::null());
    subject.says("end after 0 bytes\n");
    subject.ends();
}

#[test]
fn a_file_that_is_always_ready_leaves_others_their_turn() {
    let mut subject = Subject::start("rests", File::open("/dev/zero").unwrap());
    subject.says("turns true\n");
    subject.ends();
}

#[test]
fn a_wait_that_was_given_up_does_not_keep_the_process() {
    let (person, screen) = terminal::pair();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    for input in [Stdio::from(screen), OwnedFd::from(theirs).into(), reader.into()] {
        let mut subject = Subject::start("gives up", input);
        subject.says("gives up\n");
        subject.ends();
    }
    // All of them were open until here.
    drop((person, ours, writer));
}

#[test]
fn waits_that_are_given_up_lose_nothing() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut subject = Subject::start("patient", reader);
    subject.says("waits\n");
    for piece in ["on", "e\nt", "w", "o\nthree\n"] {
        writer.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(writer);
    subject.says("line \"one\"\nline \"two\"\nline \"three\"\ngiven up true\n");
    subject.ends();
}

#[test]
fn two_readers_share_and_neither_blocks_the_loop() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut subject = Subject::start("two", reader);
    subject.says("waits\n");
    // One of the two gets it; the other was woken for nothing, and nothing more comes.
    writer.write_all(b"!").unwrap();
    subject.says("alive\n");
    for byte in "abcdefgh".bytes() {
        writer.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(writer);
    subject.says("bytes \"!abcdefgh\"\n");
    subject.ends();
}

#[test]
fn what_cannot_be_read_says_so() {
    Subject::start("refused", File::open("/").unwrap()).ends();
    Subject::start("closed", Stdio::null()).ends();
    let error = stdin().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.to_string().contains("no loop on this thread"), "{error}");
}

#[test]
fn standard_input_may_travel() {
    fn travels<T: Send + Sync>() {}
    travels::<Stdin>();
}

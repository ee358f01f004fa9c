//! The streams to test with: the pair in memory, and the wrapper that makes any stream difficult. What comes out
//! never depends on how the bytes were cut. A failure of a test with seeds prints its seed; put that in place of
//! the loop's to replay it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::ErrorKind;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, join};
use greenroom::io::{Duplex, Hostile, LineReader, StreamReader, duplex, write_all};
use greenroom::{BlockOnError, Order, Rng, Runtime, WaitReason, spawn, spawn_named, tasks, yield_now};

/// Counts what this thread has allocated and not freed.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: both calls are the system allocator's; what is added is a count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = HELD.try_with(|held| held.set(held.get() + layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let _ = HELD.try_with(|held| held.set(held.get() - layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A loop whose time jumps and whose tasks run in the order of the seed.
fn shuffled(seed: u64) -> Runtime {
    Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap()
}

/// Some text that does not repeat soon.
fn text(len: usize, rng: &mut Rng) -> Vec<u8> {
    (0..len).map(|_| b'a' + rng.below(26) as u8).collect()
}

/// Lets everyone run.
async fn settle() {
    for _ in 0..5 {
        yield_now().await;
    }
}

#[test]
fn bytes_go_both_ways_at_once_in_any_order_of_tasks() {
    for seed in 0..300 {
        shuffled(seed).block_on(async {
            let mut rng = Rng::new(seed);
            let (one, other) = duplex(1 + rng.below(40));
            let (there, back) = (text(rng.below(300), &mut rng), text(rng.below(300), &mut rng));
            let talk = async |end: Duplex, says: Vec<u8>| {
                let (mut from, mut to) = AsyncReadExt::split(end);
                let mut heard = Vec::new();
                let say = async {
                    to.write_all(&says).await.unwrap();
                    to.close().await.unwrap();
                };
                let (_, count) = join!(say, from.read_to_end(&mut heard));
                assert_eq!(count.unwrap(), heard.len());
                heard
            };
            let answering = spawn(talk(other, back.clone()));
            assert_eq!(talk(one, there.clone()).await, back, "seed {seed}");
            assert_eq!(answering.await.unwrap(), there, "seed {seed}");
        });
    }
}

#[test]
fn a_writer_waits_for_room_and_a_reader_for_bytes() {
    Runtime::new().unwrap().block_on(async {
        let (mut near, mut far) = duplex(10);
        let writer = spawn_named("writer", async move {
            near.write_all(&[b'x'; 25]).await.unwrap();
            near
        });
        settle().await;
        let waits = |name: &str| {
            tasks().into_iter().find(|task| task.name.as_deref() == Some(name)).map(|task| task.reason)
        };
        assert_eq!(waits("writer"), Some(WaitReason::Pipe));
        let mut buffer = [0; 100];
        assert_eq!(far.read(&mut buffer).await.unwrap(), 10, "no more than the capacity is under way");
        settle().await;
        assert_eq!(far.read(&mut buffer).await.unwrap(), 10);
        settle().await;
        assert!(writer.is_finished());
        assert_eq!(far.read(&mut buffer[..3]).await.unwrap(), 3);
        assert_eq!(far.read(&mut buffer).await.unwrap(), 2);
        let mut near = writer.await.unwrap();
        let reader = spawn_named("reader", async move { far.read(&mut [0; 9]).await.unwrap() });
        settle().await;
        assert_eq!(waits("reader"), Some(WaitReason::Pipe));
        assert_eq!(near.write(b"abc").await.unwrap(), 3);
        assert_eq!(reader.await.unwrap(), 3);
    });
}

#[test]
fn an_end_that_is_closed_may_go_on_reading() {
    Runtime::new().unwrap().block_on(async {
        let (mut near, mut far) = duplex(10);
        near.write_all(b"last").await.unwrap();
        near.close().await.unwrap();
        near.close().await.unwrap();
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last");
        far.write_all(b"answer").await.unwrap();
        let mut buffer = [0; 6];
        near.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"answer");
    });
}

#[test]
fn an_end_that_is_gone_breaks_the_pipe_and_ends_the_reading() {
    Runtime::new().unwrap().block_on(async {
        let (mut near, mut far) = duplex(4);
        far.write_all(b"bye").await.unwrap();
        let writer = spawn(async move {
            let error = near.write_all(b"more than fits").await.unwrap_err();
            (near, error)
        });
        settle().await;
        drop(far);
        let (mut near, error) = writer.await.unwrap();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::BrokenPipe, "the other end is gone")
        );
        let mut heard = Vec::new();
        near.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"bye");
        let (mut near, far) = duplex(4);
        let reader = spawn(async move { near.read(&mut [0; 4]).await.unwrap() });
        settle().await;
        drop(far);
        assert_eq!(reader.await.unwrap(), 0, "who waits is woken");
    });
}

#[test]
fn two_who_wait_for_each_other_are_a_stall() {
    let runtime = Runtime::new().unwrap();
    let (mut near, mut far) = duplex(4);
    let result = runtime.try_block_on(async {
        let _other = spawn(async move { far.read(&mut [0; 4]).await });
        near.read(&mut [0; 4]).await
    });
    let Err(BlockOnError::Stalled(report)) = result else { panic!("not stalled: {result:?}") };
    let reasons: Vec<_> = report.tasks.iter().map(|task| task.reason).collect();
    assert_eq!(reasons, [WaitReason::Pipe, WaitReason::Pipe], "{report}");
}

#[test]
fn other_executors_may_use_it() {
    let (mut near, mut far) = duplex(3);
    let mut heard = Vec::new();
    let talk = async {
        let say = async {
            near.write_all(b"without any loop").await.unwrap();
            near.close().await.unwrap();
        };
        join!(say, far.read_to_end(&mut heard)).1.unwrap();
    };
    futures::executor::block_on(talk);
    assert_eq!(heard, b"without any loop");
}

#[test]
fn an_idle_pair_holds_next_to_nothing_however_large_it_may_grow() {
    Runtime::new().unwrap().block_on(async {
        let before = HELD.get();
        let (mut near, mut far) = duplex(1 << 30);
        let is_small = || HELD.get() - before < 1000;
        assert!(is_small(), "{} bytes", HELD.get() - before);
        near.write_all(&vec![7; 1 << 20]).await.unwrap();
        assert!(!is_small(), "a megabyte is under way");
        far.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
        assert!(is_small(), "{} bytes are left", HELD.get() - before);
    });
}

#[test]
fn a_pair_without_room_is_given_some() {
    let (mut near, mut far) = duplex(0);
    assert_eq!(near.write(b"ab").now_or_never().unwrap().unwrap(), 1);
    assert_eq!(far.read(&mut [0; 9]).now_or_never().unwrap().unwrap(), 1);
}

/// What one end does with a stream that is difficult, in words: the outcome of each poll.
fn behaviour(seed: u64, within: usize) -> String {
    let (near, mut far) = duplex(64);
    let mut hostile = Hostile::new(near, seed).reset_within(within);
    let mut story = String::new();
    for round in 0..40 {
        let _ = far.write(b"0123456789").now_or_never();
        let _ = far.read(&mut [0; 99]).now_or_never();
        let polled = match round % 2 {
            0 => hostile.read(&mut [0; 8]).now_or_never(),
            _ => hostile.write(b"abcdefgh").now_or_never(),
        };
        story += &match polled {
            None => "- ".to_string(),
            Some(Ok(count)) => format!("{count} "),
            Some(Err(error)) => format!("{:?} ", error.kind()),
        };
    }
    story
}

#[test]
fn a_seed_decides_what_a_hostile_stream_does() {
    let story = behaviour(1, 150);
    assert_eq!(story, behaviour(1, 150));
    for seed in 0..50 {
        let story = behaviour(seed, 150);
        let words: Vec<&str> = story.split_whitespace().collect();
        let passed: usize = words.iter().filter_map(|word| word.parse::<usize>().ok()).sum();
        assert!(passed < 150, "seed {seed}: {story}");
        if let Some(at) = words.iter().position(|word| *word == "ConnectionReset") {
            let after = &words[at..];
            assert!(
                after.iter().all(|word| matches!(*word, "-" | "ConnectionReset")),
                "seed {seed}: {story}"
            );
        }
        assert!(!words.contains(&"0"), "an end where there is none, seed {seed}: {story}");
        let pending = words.iter().filter(|word| **word == "-").count();
        assert!((1..=20).contains(&pending), "seed {seed}: {story}");
    }
    let stories: std::collections::HashSet<_> = (0..50).map(|seed| behaviour(seed, 150)).collect();
    assert!(stories.len() > 45, "seeds that differ behave differently");
}

#[test]
fn without_any_chance_a_hostile_stream_is_the_stream() {
    let (near, mut far) = duplex(64);
    let mut tame = Hostile::new(near, 3).pending(0.0).short_reads(0.0).short_writes(0.0);
    for _ in 0..50 {
        assert_eq!(tame.write(b"12345").now_or_never().unwrap().unwrap(), 5);
        assert_eq!(far.read(&mut [0; 9]).now_or_never().unwrap().unwrap(), 5);
        assert_eq!(far.write(b"12345").now_or_never().unwrap().unwrap(), 5);
        assert_eq!(tame.read(&mut [0; 9]).now_or_never().unwrap().unwrap(), 5);
    }
    let (near, _far) = duplex(64);
    let mut worst = Hostile::new(near, 3).pending(1.0);
    assert!(worst.write(b"1").now_or_never().is_none());
    assert!(worst.write(b"1").now_or_never().is_some(), "after a pending poll the next one is honest");
}

/// Text with every kind of line end.
fn lines_of_text(rng: &mut Rng) -> Vec<u8> {
    let letters = b"abcdefgh\r\n\r\n";
    (0..rng.below(70)).map(|_| letters[rng.below(letters.len())]).collect()
}

/// What a service that answers each line in capitals has to say to `input`.
fn answers(input: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(input.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    text.lines().map(|line| format!("<{}>\n", line.to_uppercase())).collect::<String>().into_bytes()
}

#[test]
fn a_conversation_in_lines_never_depends_on_how_the_bytes_are_cut() {
    for seed in 0..1000 {
        shuffled(seed).block_on(async {
            let mut rng = Rng::new(seed);
            let input = lines_of_text(&mut rng);
            let (near, far) = duplex(1 + rng.below(30));
            let serve = spawn(async move {
                let mut lines = LineReader::new(Hostile::new(far, seed), 1000);
                while let Some(line) = lines.next_line().await.unwrap() {
                    let answer = format!("<{}>\n", String::from_utf8(line).unwrap().to_uppercase());
                    write_all(lines.get_mut(), answer.as_bytes()).await.unwrap();
                }
            });
            let (from, mut to) = AsyncReadExt::split(Hostile::new(near, seed + 1));
            let mut from = StreamReader::new(from);
            let say = async {
                to.write_all(&input).await.unwrap();
                to.close().await.unwrap();
            };
            let (_, heard) = join!(say, from.read_to_end(10_000));
            assert_eq!(heard.unwrap(), answers(&input), "seed {seed}: {:?}", String::from_utf8_lossy(&input));
            serve.await.unwrap();
        });
    }
}

//! The output contract: every command on a terminal, in a pipe, as JSON and with chosen fields, for all file names
//! and all outcomes.

mod cases;
pub mod cells;
mod platforms;
mod schema;
mod snippets;
mod world;

use crate::check as compare;
use cells::check;
use world::World;

#[test]
fn no_rows() {
    check(&World::none(), cases::NONE);
}

#[test]
fn one_row() {
    check(&World::one(), cases::ONE);
}

#[test]
fn many_rows() {
    check(&World::many(), cases::MANY);
}

#[test]
fn hostile_names() {
    check(&World::hostile(), cases::HOSTILE);
}

#[test]
fn failures() {
    check(&World::one(), cases::FAILING);
}

#[test]
fn commands_about_haul() {
    check(&World::settings(), &cases::itself());
}

#[test]
#[allow(clippy::unicode_not_nfc, reason = "a name that is not")]
fn display_of_hostile_names() {
    let world = World::hostile();
    let fields = ["ls", "--sort", "name", "--fields", "name,size,purpose"];
    compare!(world.env.terminal(40, "", &fields), @r#"
    status 0
    --- out
    ␛[1mNAME␛[0m                         ␛[1mSIZE␛[0m  ␛[1mPURP…␛[0m
     lead and trail              16 B  p\u{…
    -rf                           3 B  p\u{…
    bidi\u{202e}fdp.exe          14 B  p\u{…
    both\n and\n.txt             15 B  p\u{…
    c1\u{9b}2J\u{85}.txt         12 B  p\u{…
    carriage\rreturn.txt         19 B  p\u{…
    ééé.txt                      13 B  p\u{…
    isolate\u{2066}…2069}.txt    18 B  p\u{…
    new\nline.txt                12 B  p\u{…
    nnnnnnnnnnnnnnn…nnnnnnnnn  1.0 kB  p\u{…
    plain.txt                     9 B  p\u{…
    quo"te's`$HOME`$(id).txt     24 B  p\u{…
    red\u{1b}[31m.txt            12 B  p\u{…
    tab\tbed.txt                 11 B  p\u{…
    title\u{1b}]0;o…\u{7}.txt    19 B  p\u{…
    zero\u{200b}wid…feff}.txt    19 B  p\u{…
    {"json": [1]}                13 B  p\u{…
    日本語の名前がと…イル.pdf    52 B  p\u{…
    👩\u{200d}👩\u{… 🎉❤️.png    33 B  p\u{…
    "#);
    compare!(world.env.terminal(80, "", &fields), @r#"
    status 0
    --- out
    ␛[1mNAME␛[0m                                                          ␛[1mSIZE␛[0m  ␛[1mPURPOSE␛[0m
     lead and trail                                               16 B  p\u{1b}[2J\n
    -rf                                                            3 B  p\u{1b}[2J\n
    bidi\u{202e}fdp.exe                                           14 B  p\u{1b}[2J\n
    both\n and\n.txt                                              15 B  p\u{1b}[2J\n
    c1\u{9b}2J\u{85}.txt                                          12 B  p\u{1b}[2J\n
    carriage\rreturn.txt                                          19 B  p\u{1b}[2J\n
    ééé.txt                                                       13 B  p\u{1b}[2J\n
    isolate\u{2066}x\u{2069}.txt                                  18 B  p\u{1b}[2J\n
    new\nline.txt                                                 12 B  p\u{1b}[2J\n
    nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…nnnnnnnnnnnnnnnnnnnnnn  1.0 kB  p\u{1b}[2J\n
    plain.txt                                                      9 B  p\u{1b}[2J\n
    quo"te's`$HOME`$(id).txt                                      24 B  p\u{1b}[2J\n
    red\u{1b}[31m.txt                                             12 B  p\u{1b}[2J\n
    tab\tbed.txt                                                  11 B  p\u{1b}[2J\n
    title\u{1b}]0;owned\u{7}.txt                                  19 B  p\u{1b}[2J\n
    zero\u{200b}width\u{feff}.txt                                 19 B  p\u{1b}[2J\n
    {"json": [1]}                                                 13 B  p\u{1b}[2J\n
    日本語の名前がとても長いファイル.pdf                          52 B  p\u{1b}[2J\n
    👩\u{200d}👩\u{200d}👧 🎉❤️.png                               33 B  p\u{1b}[2J\n
    "#);
    compare!(world.env.terminal(80, "", &["info", "--filter", "name:new", "--fields", "name,metadata"]), @r"
    status 0
    --- out
    name                       new\nline.txt
    metadata.h\u{1b}]0;x\u{7}  new\nline.txt
    ");
    compare!(world.env.terminal(80, "n\n", &["rm", "b*", "t*"]), @r"
    status 1
    --- out
      [id]............  bidi\u{202e}fdp.exe
      [id]............  both\n and\n.txt
      [id]............  tab\tbed.txt
      [id]............  title\u{1b}]0;owned\u{7}.txt
    delete 4 files (59 B) from local? [y/N] nothing deleted
    ");
}

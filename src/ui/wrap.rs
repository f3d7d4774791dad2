//! Lines of text that fit a width.

/// Lays text out: a paragraph fills the width, a line that is indented stays one. What of it does not fit goes on under
/// its last column, if it has several; an example has one, and is left whole, so that it can be copied.
pub fn wrap_text(text: &str, width: usize) -> String {
    let mut laid = String::with_capacity(text.len() + text.len() / 8);
    let mut paragraph = String::new();
    for line in text.lines() {
        let is_indented = line.starts_with(' ');
        if !line.is_empty() && !is_indented {
            paragraph.extend([if paragraph.is_empty() { "" } else { " " }, line]);
        }
        if line.is_empty() || is_indented || line.ends_with(':') {
            fill(&std::mem::take(&mut paragraph), 0, width, &mut laid);
        }
        if !line.is_empty() && !is_indented {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let column = line[indent..].rfind("  ").map(|gap| indent + gap + 2);
        let (first, second) = line.split_at(column.unwrap_or(indent));
        match column {
            _ if line.chars().count() <= width => laid.extend([line, "\n"]),
            Some(column) if column < width / 2 => {
                laid.push_str(first);
                fill(second, column, width, &mut laid);
            }
            Some(_) => {
                laid.extend([first.trim_end(), "\n", &" ".repeat(indent + 4)]);
                fill(second, indent + 4, width, &mut laid);
            }
            None if indent > 2 => {
                laid.push_str(first);
                fill(second, indent, width, &mut laid);
            }
            None => laid.extend([line, "\n"]),
        }
    }
    fill(&paragraph, 0, width, &mut laid);
    laid
}

/// Writes words into lines, all but the first indented; the first begins where the text has come to.
fn fill(text: &str, indent: usize, width: usize, into: &mut String) {
    if text.is_empty() {
        return;
    }
    let mut column = indent;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            into.extend(["\n", &" ".repeat(indent)]);
            column = indent;
        } else if index > 0 {
            into.push(' ');
            column += 1;
        }
        into.push_str(word);
        column += length;
    }
    into.push('\n');
}

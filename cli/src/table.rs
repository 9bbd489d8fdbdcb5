//! Tables as kubectl-like tools print them: padded columns, each cell followed by a tab.

use unicode_width::UnicodeWidthStr;

/// Draws a table. `header` may be empty.
///
/// Every cell, the last too, is padded to the widest of its column and followed by a tab. A cell of several lines makes
/// as many lines, whose other cells are blank.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<_> = header.iter().map(|name| name.to_uppercase().replace('_', " ")).collect();
    let mut lines: Vec<Vec<&str>> = Vec::new();
    if !header.is_empty() {
        lines.push(header.iter().map(String::as_str).collect());
    }
    for row in rows {
        let cells: Vec<Vec<&str>> = row.iter().map(|cell| cell.split('\n').collect()).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for line in 0..height {
            lines.push(cells.iter().map(|cell| cell.get(line).copied().unwrap_or_default()).collect());
        }
    }
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.width()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();

    let mut text = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
            text.push('\t');
        }
        text.push('\n');
    }
    text
}

/// Cuts each word that is a hash (40 to 128 lower-case hexadecimal digits) to its first eight characters.
pub(crate) fn shorten_hashes(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(is_word).unwrap_or(rest.len());
        let (between, after) = rest.split_at(start);
        let (word, after) = after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len()));
        let is_hash =
            (40..=128).contains(&word.len()) && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        short.push_str(between);
        short.push_str(if is_hash { &word[..8] } else { word });
        rest = after;
    }
    short
}

/// `True` or `False`, as tables spell it.
pub(crate) fn title_case(flag: bool) -> String {
    if flag { "True" } else { "False" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_columns_and_ends_every_cell_with_a_tab() {
        let rows = [
            vec!["podinfo".to_owned(), "main@sha1:696f056d".to_owned(), "True".to_owned()],
            vec!["ü".to_owned(), String::new(), "line one\nline two".to_owned()],
        ];
        assert_eq!(
            render(&["Name", "Last_Scan", "Ready"], &rows),
            "NAME   \tLAST SCAN         \tREADY   \t\n\
             podinfo\tmain@sha1:696f056d\tTrue    \t\n\
             ü      \t                  \tline one\t\n       \t                  \tline two\t\n"
        );
        assert_eq!(render(&[], &[vec!["a".to_owned()]]), "a\t\n");
        assert_eq!(render(&[], &[]), "");
    }

    #[test]
    fn shortens_hashes_and_nothing_else() {
        let sha1 = "696f056df216eea4f9401adbee0ff744d4df390f";
        for (text, short) in [
            (format!("main@sha1:{sha1}"), "main@sha1:696f056d".to_owned()),
            (format!("stored {sha1} and {sha1}."), "stored 696f056d and 696f056d.".to_owned()),
            (format!("x{sha1}"), format!("x{sha1}")),
            (format!("_{sha1}"), format!("_{sha1}")),
            (sha1.to_uppercase(), sha1.to_uppercase()),
            (sha1[..39].to_owned(), sha1[..39].to_owned()),
            ("0".repeat(128), "0".repeat(8)),
            ("0".repeat(129), "0".repeat(129)),
            (format!("ä {sha1} ö"), "ä 696f056d ö".to_owned()),
        ] {
            assert_eq!(shorten_hashes(&text), short);
        }
    }
}

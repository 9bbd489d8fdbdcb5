//! Cuts text into documents as Helm does, which is not how YAML does.

/// The documents of a text: it is cut at every line that begins with `---`, wherever that stands.
///
/// Blanks behind the dashes belong to the separator, anything else to the next document; leading blanks of a document
/// are dropped, trailing ones kept, and blank documents vanish.
pub fn split(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let mut documents = Vec::new();
    let mut rest = text;
    let mut at_line_start = true;
    let mut end = 0;
    // `rest` is the text from the last cut on; `end` is how much of it was looked at.
    while let Some(tail) = rest.get(end..).filter(|tail| !tail.is_empty()) {
        if at_line_start && tail.starts_with("---") {
            push(&mut documents, rest.get(..end).unwrap_or_default());
            rest = tail.get(3..).unwrap_or_default().trim_start_matches([' ', '\t']);
            end = 0;
            at_line_start = false;
            continue;
        }
        end += tail.find('\n').map_or(tail.len(), |newline| newline + 1);
        at_line_start = true;
    }
    push(&mut documents, rest);
    documents
}

fn push<'a>(documents: &mut Vec<&'a str>, text: &'a str) {
    let text = text.trim_start();
    if !text.is_empty() {
        documents.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_dashes_separates() {
        for (text, want) in [
            ("", &[][..]),
            ("a: 1\n", &["a: 1\n"]),
            ("---\na: 1\n---\nb: 2", &["a: 1\n", "b: 2"]),
            ("---foo: 1\n", &["foo: 1\n"]),
            ("--- # c\na: 1\n", &["# c\na: 1\n"]),
            ("---- x\n", &["- x\n"]),
            ("------\n", &["---\n"]),
            ("a: |\n---\nb\n", &["a: |\n", "b\n"]),
            ("a: |\n ---\n b\n", &["a: |\n ---\n b\n"]),
            ("\n\n---\n\n\n  a: 1\n\n\n---\n \n---\n", &["a: 1\n\n\n"]),
            ("%YAML 1.1\n---\na: 1\n", &["%YAML 1.1\n", "a: 1\n"]),
            ("a: 1\r\n---\r\nb: 2\r\n", &["a: 1\r\n", "b: 2\r\n"]),
            ("--- \t---\na: 1\n", &["---\na: 1\n"]),
            (" --- \na: 1\n", &["a: 1\n"]),
        ] {
            assert_eq!(split(text), want, "{text:?}");
        }
    }
}

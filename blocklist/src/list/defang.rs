//! URLs that were written so that they are no links.

use std::borrow::Cow;

/// What stands for a part of a URL, and the part. Letters match in any case.
const MARKS: [(&str, &str); 20] = [
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("<.>", "."),
    ("[dot]", "."),
    ("(dot)", "."),
    ("{dot}", "."),
    ("[punkt]", "."),
    ("[://]", "://"),
    ("(://)", "://"),
    ("[:/]", ":/"),
    ("[:]", ":"),
    ("(:)", ":"),
    ("{:}", ":"),
    ("[/]", "/"),
    ("(/)", "/"),
    ("[@]", "@"),
    ("[at]", "@"),
    ("[www]", "www"),
    ("\\.", "."),
];

/// Schemes that stand for others.
const SCHEMES: [(&str, &str); 9] = [
    ("hxxp", "http"),
    ("hxxps", "https"),
    ("htxp", "http"),
    ("htxps", "https"),
    ("hxtp", "http"),
    ("hxtps", "https"),
    ("h**p", "http"),
    ("h**ps", "https"),
    ("fxp", "ftp"),
];

/// The text with links as they were: `hxxp://`, `[.]`, `(.)`, `[:]//` and their like replaced. Schemes may stand before
/// slashes of any kind and number, as browsers read them.
pub(super) fn refang(text: &str) -> Cow<'_, str> {
    let with_parts = replace_marks(text);
    let Some((scheme, rest)) = with_parts.split_once(':') else { return with_parts };
    match SCHEMES.iter().find(|(written, _)| scheme.eq_ignore_ascii_case(written)) {
        Some((_, meant)) => Cow::Owned(format!("{meant}:{rest}")),
        None => with_parts,
    }
}

fn replace_marks(text: &str) -> Cow<'_, str> {
    if !text.contains(['[', '(', '{', '<', '\\']) {
        return Cow::Borrowed(text);
    }
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = MARKS.iter().find(|(mark, _)| {
            rest.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
        });
        let taken = match found {
            Some((mark, meant)) => {
                replaced.push_str(meant);
                mark.len()
            }
            None => {
                replaced.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
        // Paths and queries have such marks of their own.
        if replaced.ends_with(['/', '?', '#']) && has_whole_authority(&replaced) {
            replaced.push_str(rest);
            break;
        }
    }
    Cow::Owned(replaced)
}

/// Whether what names the host is there whole, and a path, query or fragment has begun.
fn has_whole_authority(text: &str) -> bool {
    let rest = match text.split_once(':') {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => rest,
        _ => text,
    };
    rest.trim_start_matches(['/', '\\']).contains(['/', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defanged_links_are_read_as_they_were() {
        for (text, expected) in [
            ("hxxp://a[.]example/x", "http://a.example/x"),
            ("hXXps://a(.)b{.}example", "https://a.b.example"),
            ("hxxp[:]//a[dot]example[/]x", "http://a.example/x"),
            ("https[://]a[DOT]example", "https://a.example"),
            ("HXXP://a.example", "http://a.example"),
            ("fxp://a.example/", "ftp://a.example/"),
            ("hxxp://a[.]example/wiki/Full_stop_(.)", "http://a.example/wiki/Full_stop_(.)"),
            ("a[.]example[/]x[.]html?m=u[at]v", "a.example/x[.]html?m=u[at]v"),
            ("a[.]example:8443?[.]", "a.example:8443?[.]"),
            ("hxxps[:]//a[.]example#(.)", "https://a.example#(.)"),
            ("hxxp:\\\\a.example\\x", "http:\\\\a.example\\x"),
            ("HXXPS:/\\a[.]example\\x", "https:/\\a.example\\x"),
            ("hxxps[:]\\\\a.example", "https:\\\\a.example"),
            ("hxxp:/a.example", "http:/a.example"),
            ("fxp:a.example", "ftp:a.example"),
            ("hxxp.example:80", "hxxp.example:80"),
            ("192[.]0[.]2[.]7", "192.0.2.7"),
            ("a\\.example", "a.example"),
            ("https://[2001:db8::1]/", "https://[2001:db8::1]/"),
            ("https://a.example/hxxp://b", "https://a.example/hxxp://b"),
            ("a.example/(x)", "a.example/(x)"),
            ("é[.]example", "é.example"),
            ("[é", "[é"),
            ("", ""),
        ] {
            assert_eq!(refang(text), expected, "{text}");
        }
    }
}

//! A page on which a person types a URL and sees what is asked for it, and what the service sees of that.
//!
//! It works without scripts and loads nothing from elsewhere.

use super::recorder::{Recorder, Seen};
use crate::output::chain;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use filter_client::{Basis, Decision, UrlFilter, Verdict};
use filter_core::Prefilter;
use html_escape::encode_double_quoted_attribute as escape;
use std::fmt::Write;
use std::sync::Arc;

/// Longest form that is read, in bytes: a URL of 8,192 bytes may take three times as many.
const MAX_FORM: usize = 32 << 10;
/// Largest number of sub-URLs that are listed.
const MAX_SUB_URLS: usize = 10_000;

/// What the page shows.
pub(super) struct Demo {
    pub(super) filter: UrlFilter,
    pub(super) prefilter: Prefilter<Vec<u8>>,
    pub(super) recorder: Arc<Recorder>,
    /// URLs to try, with what is special about them.
    pub(super) examples: Vec<(String, &'static str)>,
    /// One lookup at a time, so that what the service sees belongs to it.
    pub(super) turn: tokio::sync::Mutex<()>,
}

pub(super) fn router(demo: Arc<Demo>) -> Router {
    Router::new()
        .route("/", get(empty).post(looked_up))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .with_state(demo)
}

/// Nothing is loaded from elsewhere, and nothing is kept by the browser.
fn page(content: String) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (HEADERS, Html(content)).into_response()
}

async fn empty(State(demo): State<Arc<Demo>>) -> Response {
    page(demo.render("", ""))
}

/// The URL comes in the body, so that it is in no history.
async fn looked_up(State(demo): State<Arc<Demo>>, form: String) -> Response {
    let field = url::form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "url");
    let url = field.map(|(_, value)| value.trim().to_owned()).unwrap_or_default();
    if url.is_empty() {
        return page(demo.render("", ""));
    }
    let result = demo.look_up(&url).await;
    page(demo.render(&url, &result))
}

impl Demo {
    async fn look_up(&self, url: &str) -> String {
        let _turn = self.turn.lock().await;
        // What was sent in the background belongs to no URL.
        drop(self.recorder.take());
        let decision = self.filter.check(url).await;
        let seen = self.recorder.take();
        let mut out = String::new();
        verdict(&mut out, &decision);
        self.device(&mut out, url);
        service(&mut out, &seen, &decision);
        out
    }

    /// What happens on the device.
    fn device(&self, out: &mut String, url: &str) {
        out.push_str("<section><h2>On the device</h2>");
        let sub_urls =
            self.prefilter.rule().parse_lenient(url).map(|url| url.sub_urls().sorted(MAX_SUB_URLS));
        match (sub_urls, self.prefilter.hits(url)) {
            (Ok(Ok(sub_urls)), Ok(hits)) => {
                let _ = write!(
                    out,
                    "<p>The device makes {} sub-URLs of the URL and tests each with the prefilter. {} of them \
                     hit.</p><ul>",
                    sub_urls.len(),
                    hits.len()
                );
                for sub_url in &sub_urls {
                    let (class, mark) = match hits.contains(sub_url) {
                        true => (" class=hit", " <b>hit</b>"),
                        false => ("", ""),
                    };
                    let _ = write!(out, "<li{class}><code>{}</code>{mark}</li>", escape(sub_url));
                }
                out.push_str("</ul>");
            }
            (Ok(Err(error)), _) => {
                let _ = write!(out, "<p>{}</p>", escape(&chain(&error)));
            }
            (Err(error), _) | (_, Err(error)) => {
                let _ = write!(out, "<p>{}</p>", escape(&chain(&error)));
            }
        }
        out.push_str("</section>");
    }

    fn render(&self, url: &str, result: &str) -> String {
        let mut examples = String::new();
        for (example, what) in &self.examples {
            let example = escape(example);
            let _ = write!(
                examples,
                "<form method=post><button name=url value=\"{example}\">{example}</button> {what}</form>"
            );
        }
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8>\
             <meta name=viewport content=\"width=device-width, initial-scale=1\">\
             <title>Private URL filtering</title><style>{STYLE}</style>\
             <main><h1>Private URL filtering</h1>\
             <p>Type a URL. The verdict comes from a service on this machine, which never learns which URL it was.</p>\
             <form method=post class=ask><label for=url>URL</label>\
             <input id=url name=url value=\"{}\" autocomplete=off spellcheck=false required>\
             <button>Look up</button></form>\
             <section class=examples><h2>Some to try</h2>{examples}</section>{result}</main></html>",
            escape(url)
        )
    }
}

fn verdict(out: &mut String, decision: &Decision) {
    let (class, word, reason) = match &decision.verdict {
        Verdict::Deny { matched } => {
            ("deny", "Blocked", format!("<code>{}</code> is on the list.", escape(matched)))
        }
        Verdict::Allow if decision.basis == Basis::Prefilter => {
            ("allow", "Allowed", "No sub-URL hits the prefilter.".to_owned())
        }
        Verdict::Allow => (
            "allow",
            "Allowed",
            "The prefilter was hit by chance; the service has no such key.".to_owned(),
        ),
        _ => {
            let error = decision.failure.as_ref().map(|failure| chain(failure));
            ("unknown", "No verdict", escape(&error.unwrap_or_default()).into_owned())
        }
    };
    let _ = write!(out, "<section class={class}><h2>{word}</h2><p>{reason}</p></section>");
}

/// What the service sees.
fn service(out: &mut String, seen: &[Seen], decision: &Decision) {
    out.push_str("<section><h2>What the service saw</h2>");
    if seen.is_empty() {
        out.push_str(match decision.basis {
            Basis::Cache => "<p>Nothing: the answer was still known from before.</p></section>",
            _ => "<p>Nothing: it was not asked.</p></section>",
        });
        return;
    }
    out.push_str(
        "<div class=wide><table><tr><th>request<th>with<th>bytes sent<th>bytes received</tr>",
    );
    for request in seen {
        let received = request.received.map_or("none".to_owned(), |bytes| bytes.to_string());
        let _ = write!(
            out,
            "<tr><td><code>{} {}</code><td>{}<td>{}<td>{received}</tr>",
            escape(&request.method),
            escape(&request.path),
            request.headers.join(", "),
            request.sent,
        );
    }
    out.push_str(
        "</table></div><p>It saw <b>that</b> something was asked, when, how many keywords, and of which shard if there \
         are several. It could not see the URL, the sub-URLs, which row of the shard was asked for, or whether the \
         answer was yes: question and answer are encrypted under a key that never leaves the device. \
         <code>authorization</code> holds a token that was signed blind: it says that some user may ask, not which. \
         <code>user-identifier</code> is a random pseudonym, under which the evaluation key is stored.</p></section>",
    );
}

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0}\
main{max-width:60rem;margin:0 auto;padding:1rem}h1{font-size:1.5rem}h2{font-size:1.1rem;margin:.2rem 0}\
section{border:1px solid #8886;border-radius:.5rem;padding:.5rem 1rem;margin:1rem 0}\
.ask{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}.ask input{flex:1 1 16rem;font:inherit;padding:.4rem}\
button{font:inherit;padding:.4rem .8rem;max-width:100%;overflow-wrap:anywhere;text-align:left}\
.examples form{margin:.4rem 0}code{overflow-wrap:anywhere}ul{padding-left:1.2rem}\
.deny{border-color:#b00;border-width:2px}.allow{border-color:#080;border-width:2px}.unknown{border-color:#a60;border-width:2px}\
.hit{font-weight:bold}.wide{overflow-x:auto}table{border-collapse:collapse}\
td,th{border:1px solid #8886;padding:.2rem .5rem;text-align:left}";

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(
            escape("<a href='x' b=\"y\">&amp;"),
            "&lt;a href='x' b=&quot;y&quot;&gt;&amp;amp;"
        );
    }
}

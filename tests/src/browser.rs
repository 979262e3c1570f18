//! A browser as far as logging in and connecting need one: it keeps cookies, follows redirects and sends forms.

use crate::http::{Endpoint, Request, Response};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The most redirects that are followed.
const REDIRECTS: usize = 20;

/// A browser with its cookies.
#[derive(Debug, Default, Clone)]
pub struct Browser {
    cookies: BTreeMap<SocketAddr, BTreeMap<String, String>>,
}

/// What a browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it is.
    pub url: String,
    /// The answer.
    pub response: Response,
}

impl Page {
    /// The text.
    pub fn text(&self) -> String {
        self.response.text()
    }

    /// The value of a hidden field, and where its form goes.
    pub fn field(&self, name: &str) -> Option<(String, String)> {
        let text = self.text();
        let (before, after) = text.split_once(&format!("name=\"{name}\" value=\""))?;
        let value = after.split('"').next()?.to_owned();
        let action = before.rsplit_once("action=\"")?.1.split('"').next()?.to_owned();
        Some((value, action))
    }

    /// The origin of the page.
    pub fn origin(&self) -> String {
        origin(&self.url).to_owned()
    }
}

impl Browser {
    /// A browser that has been nowhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// A browser whose user is this account at a provider.
    pub fn of(issuer: &str, account: &str) -> Self {
        let mut browser = Self::default();
        browser.set(issuer, "account", account);
        browser
    }

    /// Sets a cookie of whoever is at this URL.
    pub fn set(&mut self, url: &str, name: &str, value: &str) {
        let to = Endpoint::parse(url).address;
        self.cookies.entry(to).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// A cookie of whoever is at this URL.
    pub fn cookie(&self, url: &str, name: &str) -> Option<&str> {
        Some(self.cookies.get(&Endpoint::parse(url).address)?.get(name)?)
    }

    /// Opens a URL and goes where that leads.
    pub fn open(&mut self, url: &str) -> Page {
        let first = self.step(Request::new("GET"), url);
        self.follow(first, |_| false)
    }

    /// As [`open`](Self::open), but stays where a redirect leads to what `stop` knows: that URL.
    pub fn open_until(&mut self, url: &str, stop: impl Fn(&str) -> bool) -> String {
        let first = self.step(Request::new("GET"), url);
        let page = self.follow(first, stop);
        target(&page).unwrap_or_else(|| panic!("it led elsewhere: {page:?}"))
    }

    /// Sends the form of a page in which this hidden field is, and goes where that leads.
    pub fn send(&mut self, page: &Page, field: &str) -> Page {
        let first = self.submit(page, field);
        self.follow(first, |_| false)
    }

    /// As [`send`](Self::send), but stays where a redirect leads to what `stop` knows: that URL.
    pub fn send_until(&mut self, page: &Page, field: &str, stop: impl Fn(&str) -> bool) -> String {
        let first = self.submit(page, field);
        let page = self.follow(first, stop);
        target(&page).unwrap_or_else(|| panic!("it led elsewhere: {page:?}"))
    }

    /// Sends the form of a page, and goes nowhere.
    pub fn submit(&mut self, page: &Page, field: &str) -> Page {
        let (value, action) =
            page.field(field).unwrap_or_else(|| panic!("no `{field}` in {}: {}", page.url, page.text()));
        let request = Request::new("POST")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &page.origin())
            .body(format!("{field}={value}"));
        self.step(request, &absolute(&page.url, &action))
    }

    /// Sends one request, and goes nowhere.
    pub fn step(&mut self, request: Request, url: &str) -> Page {
        let to = Endpoint::parse(url);
        let jar = self.cookies.entry(to.address).or_default();
        let cookies =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let request = if cookies.is_empty() { request } else { request.header("cookie", &cookies) };
        let response = request.send(&to);
        for (_, text) in response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let pair = text.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            if value.is_empty() || text.to_ascii_lowercase().contains("expires=thu, 01 jan 1970") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { url: url.to_owned(), response }
    }

    fn follow(&mut self, mut page: Page, stop: impl Fn(&str) -> bool) -> Page {
        for _ in 0..REDIRECTS {
            match target(&page) {
                Some(to) if !stop(&to) => page = self.step(Request::new("GET"), &to),
                _ => return page,
            }
        }
        panic!("it goes round and round: {page:?}");
    }
}

/// Where a redirect leads.
fn target(page: &Page) -> Option<String> {
    let redirects = matches!(page.response.status, 302 | 303);
    let location = page.response.header("location").filter(|_| redirects)?;
    Some(absolute(&page.url, location))
}

fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    let end = rest.find(['/', '?']).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

fn absolute(base: &str, link: &str) -> String {
    if link.contains("://") { link.to_owned() } else { format!("{}{link}", origin(base)) }
}

//! The pages in a real browser: from the card to a scenario and back, no request beyond the files,
//! a text for every chart, and nothing that overflows a phone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const WIREBENCH: &str = env!("CARGO_BIN_EXE_wirebench");

fn wirebench(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(WIREBENCH).current_dir(folder).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// Two scenarios of the card, briefly, and the card's page from their records.
fn pages(folder: &Path) -> PathBuf {
    let briefly =
        ["--quick", "--rounds=2", "--allow-debug", "--accept-noise", "--set=quick.duration=\"200ms\""];
    let run = ["run", "polling-break-even", "overfetching", "--out=results"];
    wirebench(folder, &[&run[..], &briefly].concat());
    // What was finished by the same plan is kept.
    let go_on = ["run", "polling-break-even", "overfetching", "--resume=results"];
    std::fs::remove_file(folder.join("results/overfetching/record.json")).unwrap();
    let said = wirebench(folder, &[&go_on[..], &briefly].concat());
    assert!(said.contains("polling-break-even: already measured by the same plan, and kept"), "{said}");
    assert!(!said.contains("overfetching: already measured"), "{said}");
    wirebench(folder, &["run", "typing", "--out=results", "--allow-debug"]);
    let said = wirebench(folder, &["report", "--card", "results"]);
    assert_eq!(said.matches("report: ").count(), 3, "{said}");
    folder.join("results")
}

#[test]
fn the_card_leads_to_its_evidence_and_back_and_fits_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let results = pages(folder.path());
    let markdown = std::fs::read_to_string(results.join("card.md")).unwrap();
    assert!(markdown.contains("| A3 | GraphQL cures over- and under-fetching"), "{markdown}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(mut browser) = Browser::start(folder.path()).await else { return };
        for page in ["card.html", "index.html", "polling-break-even/report.html", "overfetching/report.html"]
        {
            assert_eq!(browser.too_wide(&results.join(page)).await, None);
            // Charts for the other width are hidden, and are charts all the same.
            let charts = browser.evaluate("document.querySelectorAll('svg[role=img]').length").await;
            assert!(charts.as_i64().unwrap() > 0 || page == "index.html", "{page} has no chart");
            let mute = "[...document.querySelectorAll('svg')].filter(svg => !svg.closest('.legend, td') && \
                        !(svg.getAttribute('aria-label') || svg.querySelector('title')?.textContent)).length";
            assert_eq!(browser.evaluate(mute).await, json!(0), "{page}: a chart without a text");
        }
        // A whole run has longer lines, with warnings.
        let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/published");
        for page in ["card.html", "index.html", "rest-vs-grpc/report.html"] {
            assert_eq!(browser.too_wide(&published.join(page)).await, None);
        }
        browser.open(&results.join("card.html"), 1280).await;
        let word = "document.querySelector('#R5 .word').textContent";
        assert_eq!(browser.evaluate(word).await, json!("undecided"), "two rounds decide nothing");
        assert_eq!(
            browser.evaluate("document.querySelector('#P1 .shows').textContent.trim()").await,
            json!("No scenario tests it yet.")
        );
        browser.click("#R5 .link a").await;
        assert_eq!(browser.evaluate("document.title").await, json!("polling-break-even · wirebench"));
        browser.click("footer a[href='../index.html']").await;
        browser.click("header a[href='card.html']").await;
        assert!(browser.evaluate("document.title").await.as_str().unwrap().starts_with("The card, tested"));
        let beyond = browser.beyond();
        assert!(browser.requests.len() > 8 && beyond.is_empty(), "{beyond:?}");
    });
}

/// What no page may show, as scripts that count it; each is 0.
const FLAWS: [(&str, &str); 9] = [
    ("a number that is none", "(own().match(/\\bNaN\\b|\\binf\\b|undefined/g) ?? []).length"),
    ("a difference beyond 1000 %", "(document.body.innerText.match(/> 1000/g) ?? []).length"),
    ("an empty figure", "count('figure', of => !of.querySelector('svg, table'))"),
    (
        "a heading without content",
        "count('h2, h3', of => { let next = of.nextElementSibling; \
      while (next?.matches('.back')) next = next.nextElementSibling; return !next || \
      (/^H[23]$/.test(next.tagName) && next.tagName <= of.tagName); })",
    ),
    ("a table without rows", "count('table', of => of.querySelectorAll('tbody tr').length === 0)"),
    ("a table that a desk cuts", "count('.table', of => of.scrollWidth > of.clientWidth + 1)"),
    (
        "a chart twice",
        "(() => { const all = [...document.querySelectorAll('.wide svg.chart')].map(of => of.outerHTML); \
      return all.length - new Set(all).size; })()",
    ),
    (
        "a verdict that leads to no chart, or a chart that leads to no verdict",
        "count('.verdict a[href^=\"#\"]', of => { const at = document.querySelector(of.getAttribute('href')); \
      return !at || !at.querySelector('a[href=\"#findings\"]'); })",
    ),
    ("a line that cannot be seen", "count('path.line', of => contrast(getComputedStyle(of).stroke) < 3)"),
];

/// Functions for these. `own` is a page's own text, without what it quotes: a matrix of wrong
/// messages quotes a NaN that it sent, and only a matrix quotes.
const TOOLS: &str = "\
    globalThis.own = () => { const quoted = [...document.querySelectorAll('.quoted')]; \
      quoted.forEach(of => of.style.display = 'none'); const charts = document.querySelectorAll('svg'); \
      const said = [document.body.innerText, ...[...charts].map(of => of.outerHTML)].join(' '); \
      quoted.forEach(of => of.style.display = ''); return said; }; \
    globalThis.count = (what, is) => [...document.querySelectorAll(what)].filter(is).length; \
    globalThis.light = colour => { const of = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255) \
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); \
      return 0.2126 * of[0] + 0.7152 * of[1] + 0.0722 * of[2]; }; \
    globalThis.contrast = colour => { const paper = light(getComputedStyle(document.body).backgroundColor); \
      const [a, b] = [light(colour), paper].sort((a, b) => b - a); return (a + 0.05) / (b + 0.05); }; \
    document.querySelectorAll('details').forEach(of => of.open = true)";

/// Sheets that the card takes, at most.
const CARD_SHEETS_MAX: usize = 4;

#[test]
fn every_page_is_whole_on_every_screen_and_on_paper() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = pages(folder.path());
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/published");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(mut browser) = Browser::start(folder.path()).await else { return };
        let mut flaws = Vec::new();
        for page in [&fresh, &published].into_iter().flat_map(|of| pages_of(of)) {
            let sheets = browser.flaws(&page, &mut flaws).await;
            if page.ends_with("card.html") && sheets > CARD_SHEETS_MAX {
                flaws.push(format!("{}: the card takes {sheets} sheets", page.display()));
            }
        }
        assert!(flaws.is_empty(), "{}", flaws.join("\n"));
        browser.open(&fresh.join("overfetching/report.html"), 1280).await;
        let off = "(() => { document.querySelector('.legend [data-s=graphql]').click(); \
                   return document.querySelectorAll('svg [data-s=graphql].off').length; })()";
        assert!(browser.evaluate(off).await.as_i64().unwrap() > 0, "a legend switches nothing off");
        let sorted = "(() => { const head = document.querySelectorAll('thead th'); const of = [...head] \
                      .find(th => th.textContent.startsWith('p50')); of.click(); return of.ariaSort; })()";
        assert_eq!(browser.evaluate(sorted).await, json!("ascending"));
        let beyond = browser.beyond();
        assert!(beyond.is_empty(), "{beyond:?}");
    });
}

/// Every page of a folder of results.
fn pages_of(results: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(results).unwrap().map(|entry| entry.unwrap().path());
    let reports = folders.map(|folder| folder.join("report.html"));
    let all = ["card.html", "index.html"].map(|name| results.join(name)).into_iter().chain(reports);
    all.filter(|page| page.exists()).collect()
}

fn is_local(url: &str) -> bool {
    url.starts_with("file:") || url.starts_with("data:")
}

/// A headless Chromium, spoken with by its DevTools protocol.
pub(crate) struct Browser {
    process: Child,
    socket: WebSocketStream<TcpStream>,
    session: String,
    next: u64,
    /// Every address that was asked for.
    requests: Vec<String>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// By how much a page is wider than a phone, or a desk; `None` where it fits both.
    async fn too_wide(&mut self, page: &Path) -> Option<String> {
        for width in [390, 1280] {
            self.open(page, width).await;
            let overflow = self.evaluate("document.documentElement.scrollWidth - innerWidth").await;
            if overflow.as_i64().unwrap() > 0 {
                return Some(format!("{} at {width} px overflows by {overflow} px", page.display()));
            }
        }
        None
    }

    /// Adds what a page may not show, on any screen and on paper; gives the sheets that it takes.
    pub(crate) async fn flaws(&mut self, page: &Path, flaws: &mut Vec<String>) -> usize {
        let shown = page.display();
        for scheme in ["light", "dark"] {
            self.prefer(scheme).await;
            self.open(page, 1280).await;
            self.evaluate(TOOLS).await;
            for (flaw, script) in FLAWS {
                let found = self.evaluate(script).await;
                if found != json!(0) {
                    flaws.push(format!("{shown} ({scheme}): {flaw}, {found} times"));
                }
            }
        }
        self.prefer("light").await;
        flaws.extend(self.too_wide(page).await);
        let (sheets, cut) = self.print(page).await;
        if cut != 0 {
            flaws.push(format!("{shown}: {cut} parts are cut on paper"));
        }
        sheets
    }

    /// Whatever was asked for that is no file of this machine.
    pub(crate) fn beyond(&self) -> Vec<&String> {
        self.requests.iter().filter(|url| !is_local(url)).collect()
    }

    /// `None` where there is none and need not be.
    pub(crate) async fn start(folder: &Path) -> Option<Browser> {
        let profile = folder.join("profile");
        let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                     --disable-component-update --disable-sync --remote-debugging-port=0";
        let process = Command::new("chromium")
            .args(flags.split_whitespace())
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            ::lab::skip("chromium is not installed");
            return None;
        };
        let (port, path) = Browser::address(&profile.join("DevToolsActivePort")).await;
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let mut browser = Browser { process, socket, session: String::new(), next: 0, requests: Vec::new() };
        let page = browser.ask("Target.createTarget", json!({ "url": "about:blank" })).await;
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", target).await;
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Network.enable"] {
            browser.ask(domain, json!({})).await;
        }
        Some(browser)
    }

    /// Its port and path, once it says so.
    async fn address(file: &Path) -> (u16, String) {
        for _ in 0..600 {
            let said = std::fs::read_to_string(file).unwrap_or_default();
            if let Some((port, path)) = said.split_once('\n') {
                return (port.parse().unwrap(), path.trim().to_owned());
            }
            clock::pause(Duration::from_millis(50)).await;
        }
        panic!("chromium does not start");
    }

    /// Sends a command and gives its result.
    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(command.to_string())).await.unwrap();
        self.until(|message| message["id"] == json!(id)).await["result"].clone()
    }

    /// Reads on until a message is the one; notes every request meanwhile.
    async fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = clock::limit(Duration::from_secs(60), self.socket.next()).await;
            let message = message.unwrap().unwrap().unwrap();
            let Ok(value) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else {
                continue;
            };
            if value["method"] == json!("Network.requestWillBeSent") {
                self.requests.push(value["params"]["request"]["url"].as_str().unwrap().to_owned());
            }
            if is_it(&value) {
                return value;
            }
        }
    }

    pub(crate) async fn open(&mut self, page: &Path, width: u32) {
        let mobile = width < 600;
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.ask("Emulation.setDeviceMetricsOverride", size).await;
        let url = format!("file://{}", page.canonicalize().unwrap().display());
        self.ask("Page.navigate", json!({ "url": url })).await;
        self.until(|message| message["method"] == json!("Page.loadEventFired")).await;
    }

    /// Light or dark, as a reader has it.
    async fn prefer(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "media": "", "features": features })).await;
    }

    /// How many sheets a page takes, and how much of it is wider than a sheet.
    async fn print(&mut self, page: &Path) -> (usize, i64) {
        // A sheet of A4 between margins of 1 cm, at 96 dots an inch.
        self.open(page, 718).await;
        self.ask("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
        let wider = "dispatchEvent(new Event('beforeprint')), [...document.querySelectorAll('.table, .matrix, pre')] \
                     .filter(of => of.scrollWidth > of.clientWidth + 1).length";
        let cut = self.evaluate(wider).await.as_i64().unwrap();
        let asked = json!({ "paperWidth": 8.27, "paperHeight": 11.69, "marginTop": 0.4, "marginBottom": 0.4, "marginLeft": 0.4, "marginRight": 0.4 });
        let printed = self.ask("Page.printToPDF", asked).await;
        let pdf = STANDARD.decode(printed["data"].as_str().unwrap()).unwrap();
        let text = String::from_utf8_lossy(&pdf);
        self.ask("Emulation.setEmulatedMedia", json!({ "media": "" })).await;
        (text.matches("/Type /Page\n").count(), cut)
    }

    pub(crate) async fn evaluate(&mut self, script: &str) -> Value {
        let asked = json!({ "expression": script, "returnByValue": true });
        let result = self.ask("Runtime.evaluate", asked).await;
        assert!(result["exceptionDetails"].is_null(), "{script}: {result}");
        result["result"]["value"].clone()
    }

    /// Clicks a link, and waits for the page behind it.
    async fn click(&mut self, selector: &str) {
        self.evaluate(&format!("document.querySelector(\"{selector}\").click()")).await;
        self.until(|message| message["method"] == json!("Page.loadEventFired")).await;
    }
}

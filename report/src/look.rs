//! How contenders look, the same in every chart of every report: one hue a protocol, another shape
//! and another dash for each contender of a protocol. The baseline's twin has the baseline's look,
//! hollow; what does not count is faint.

use record::Record;
use scenarios::Scenario;

/// A contender's shape beside its colour, so that nobody needs to tell colours apart.
const SHAPES: [&str; 8] = [
    "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0Z",
    "M-4 -4H4V4H-4Z",
    "M0 -5L5 4H-5Z",
    "M0 -5.5L5.5 0L0 5.5L-5.5 0Z",
    "M0 5L5 -4H-5Z",
    "M-1.6 -5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z",
    "M0 -5.5L1.6 -1.8L5.5 -1.7L2.5 0.8L3.4 4.6L0 2.4L-3.4 4.6L-2.5 0.8L-5.5 -1.7L-1.6 -1.8Z",
    "M-5 -2L-2 -5L0 -3L2 -5L5 -2L3 0L5 2L2 5L0 3L-2 5L-5 2L-3 0Z",
];

/// Dashes of lines, in the order of a protocol's contenders.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// Protocols in the order of the hues `--c0` to `--c7` of the style sheet.
const HUES: [&[&str]; 8] = [
    &["rest"],
    &["graphql"],
    &["grpc"],
    &["sse"],
    &["websocket"],
    &["tcp", "flow"],
    &["udp"],
    &["quic", "quic_datagram"],
];

/// How one contender looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    hue: usize,
    /// Which of its protocol's contenders it is.
    nth: usize,
    hollow: bool,
    faint: bool,
}

impl Look {
    /// The look of a flow, which is the n-th of its kind.
    pub(crate) fn of_flow(flow: &str, nth: usize) -> Look {
        let protocol = if flow.starts_with("udp") { "udp" } else { "tcp" };
        Look { hue: hue(protocol), nth, hollow: false, faint: false }
    }

    /// Of something that is no contender, in the hue of nobody.
    pub(crate) const PLAIN: Look = Look { hue: HUES.len(), nth: 0, hollow: false, faint: false };

    /// The same where it does not count.
    pub(crate) fn faint_if(self, faint: bool) -> Look {
        Look { faint, ..self }
    }

    pub(crate) fn colour(self) -> String {
        match self.hue {
            _ if self.faint => "var(--void)".to_owned(),
            hue if hue < HUES.len() => format!("var(--c{hue})"),
            _ => "var(--quiet)".to_owned(),
        }
    }

    /// Attributes of a line.
    pub(crate) fn stroke(self) -> String {
        let dash = if self.hollow { "1 4" } else { DASHES[self.nth % DASHES.len()] };
        let dash = if dash.is_empty() { String::new() } else { format!(r#" stroke-dasharray="{dash}""#) };
        format!(r#"stroke="{}"{dash}"#, self.colour())
    }

    /// A marker as a path at a place, in a scale.
    pub(crate) fn marker(self, (x, y): (f64, f64), scale: f64, title: &str) -> String {
        let shape = SHAPES[self.nth % SHAPES.len()];
        let fill = if self.hollow { "var(--paper)".to_owned() } else { self.colour() };
        let title =
            if title.is_empty() { String::new() } else { format!("<title>{}</title>", crate::escape(title)) };
        format!(
            r#"<path class="mark" transform="translate({x:.1} {y:.1}) scale({scale})" d="{shape}" fill="{fill}" stroke="{}">{title}</path>"#,
            self.colour()
        )
    }

    /// The same, hollow: a measurement that does not count, or that missed.
    pub(crate) fn hollow(self) -> Look {
        Look { hollow: true, ..self }
    }

    /// A marker for legends and tables.
    pub(crate) fn sign(self) -> String {
        let mark = self.marker((0.0, 0.0), 1.0, "");
        format!(r#"<svg class="marker" viewBox="-7 -7 14 14" aria-hidden="true">{mark}</svg>"#)
    }
}

fn hue(protocol: &str) -> usize {
    HUES.iter().position(|names| names.contains(&protocol)).unwrap_or(Look::PLAIN.hue)
}

/// The looks of a record's contenders.
pub(crate) struct Looks<'a>(Vec<(&'a str, Look)>);

impl<'a> Looks<'a> {
    pub(crate) fn of(record: &'a Record) -> Looks<'a> {
        let twin = Scenario::again(&record.plan.baseline);
        let mut looks: Vec<(&str, Look)> = Vec::new();
        let cells = record.cells.iter().filter(|cell| cell.contender != twin);
        for cell in cells {
            if looks.iter().any(|(name, _)| *name == cell.contender) {
                continue;
            }
            let hue = hue(&cell.protocol);
            let nth = looks.iter().filter(|(_, look)| look.hue == hue).count();
            looks.push((&cell.contender, Look { hue, nth, hollow: false, faint: false }));
        }
        let baseline = looks.iter().find(|(name, _)| *name == record.plan.baseline).map(|(_, look)| *look);
        let twin = record.cells.iter().find(|cell| cell.contender == twin);
        if let (Some(look), Some(twin)) = (baseline, twin) {
            looks.push((&twin.contender, look.hollow()));
        }
        Looks(looks)
    }

    pub(crate) fn get(&self, contender: &str) -> Look {
        self.0.iter().find(|(name, _)| *name == contender).map_or(Look::PLAIN, |(_, look)| *look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_has_one_hue_and_its_contenders_another_shape() {
        let rest = Look { hue: hue("rest"), nth: 0, hollow: false, faint: false };
        let other = Look { nth: 1, ..rest };
        assert_eq!(rest.colour(), other.colour());
        assert_ne!(rest.marker((0.0, 0.0), 1.0, ""), other.marker((0.0, 0.0), 1.0, ""));
        assert_ne!(rest.stroke(), other.stroke());
        assert!(rest.hollow().sign().contains("fill=\"var(--paper)\""));
        assert_eq!(rest.faint_if(true).colour(), "var(--void)");
        assert_ne!(hue("grpc"), hue("rest"));
        assert_eq!(hue("quic"), hue("quic_datagram"));
        assert_eq!(Look::of_flow("udp 30Mbit/s", 0).hue, hue("udp"));
    }
}

//! Flows: what shares a link, and how its receivers read.

use proto::flow::{Congestion, Flow, FlowCarrier};
use terms::{Activity, FlowSettings, ways};
use toml::Spanned;

use super::{Check, OWN_RATE};
use crate::ScenarioError;
use crate::contender::WireContender;
use crate::values::SPAN_MAX;
use crate::wire::WireWorkload;

/// Flows of a contender, at most: one thread at either end has them all.
const FLOWS_MAX: usize = 16;

impl Check<'_> {
    pub(super) fn flow_settings(&self, wire: &WireWorkload) -> Result<FlowSettings, ScenarioError> {
        let read_bits_per_s = self.read(wire.read_rate.as_ref(), ways::parse_rate)?;
        let buffer_bytes = self.read(wire.buffers.as_ref(), |text| {
            let bytes = ways::parse_bytes(text)?;
            usize::try_from(bytes).map_err(|error| error.to_string())
        })?;
        Ok(FlowSettings { read_bits_per_s, buffer_bytes })
    }

    fn read<T>(
        &self,
        text: Option<&Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ScenarioError> {
        let at = |text: &Spanned<String>, message: String| {
            ScenarioError::at(self.file, self.text, text.span(), &message, None)
        };
        text.map(|text| parse(text.get_ref()).map_err(|message| at(text, message))).transpose()
    }

    /// Refuses what only flows have elsewhere, and what only calls have of flows.
    pub(super) fn only_flows(&self, wire: &WireWorkload, activity: Activity) -> Result<(), ScenarioError> {
        let are_flows = matches!(activity, Activity::Flow(_));
        for option in [&wire.read_rate, &wire.buffers].into_iter().flatten() {
            self.require(option, are_flows, "this is a key of operation = \"flow\" only")?;
        }
        match &wire.rate_per_s {
            Some(rate) => self.require(rate, !are_flows, OWN_RATE),
            None => Ok(()),
        }
    }

    /// A contender's flows; nothing else of a contender has a meaning there.
    pub(super) fn flows(&self, wire: &WireContender) -> Result<Vec<Flow>, ScenarioError> {
        let error = |span, message: &str| Err(ScenarioError::at(self.file, self.text, span, message, None));
        if let Some(protocol) = &wire.protocol {
            return error(
                protocol.span(),
                "a contender of operation = \"flow\" has flows instead of a protocol",
            );
        }
        let WireContender {
            http,
            encoding,
            persisted,
            streams,
            tls,
            congestion,
            resume,
            early_data,
            resumes,
            notices,
            ..
        } = wire;
        let options = [
            http.as_ref().map(Spanned::span),
            encoding.as_ref().map(Spanned::span),
            persisted.as_ref().map(Spanned::span),
            streams.as_ref().map(Spanned::span),
            tls.as_ref().map(Spanned::span),
            congestion.as_ref().map(Spanned::span),
            resume.as_ref().map(Spanned::span),
            early_data.as_ref().map(Spanned::span),
            resumes.as_ref().map(Spanned::span),
            notices.as_ref().map(Spanned::span),
        ];
        if let Some(span) = options.into_iter().flatten().next() {
            return error(span, "this is an option of protocols: write it in the flow, such as \"tcp bbr\"");
        }
        let Some(flows) = &wire.flows else {
            return error(
                wire.name.span(),
                "a contender of operation = \"flow\" needs flows, such as [\"tcp cubic\", \"udp 30Mbit/s\"]",
            );
        };
        let right = (1..=FLOWS_MAX).contains(&flows.get_ref().len());
        self.require(flows, right, "flows must be from 1 to 16")?;
        let read = |flow: &Spanned<String>| {
            let parsed = parse(flow.get_ref());
            parsed.map_err(|message| ScenarioError::at(self.file, self.text, flow.span(), &message, None))
        };
        flows.get_ref().iter().map(read).collect()
    }
}

/// The setting of a receiver that resets.
const RESET: &str = "reset=";

fn parse(text: &str) -> Result<Flow, String> {
    let mut words = text.split_whitespace().peekable();
    let carrier = match words.next() {
        Some("udp") => FlowCarrier::Udp,
        Some("tcp") => {
            let named = words.peek().and_then(|word| Congestion::ALL.into_iter().find(|c| c.name() == *word));
            if named.is_some() {
                words.next();
            }
            FlowCarrier::Tcp(named.unwrap_or(Congestion::Cubic))
        }
        _ => {
            return Err(
                "a flow must be tcp, tcp cubic, tcp bbr, tcp reno or udp, and may have a rate after it"
                    .to_owned(),
            );
        }
    };
    let mut words = words.collect::<Vec<_>>();
    let reset = words.iter().position(|word| word.starts_with(RESET)).map(|place| words.remove(place));
    let reset_after = reset.map(|word| humantime::parse_duration(&word[RESET.len()..])).transpose();
    if let Ok(Some(after)) = reset_after
        && after > SPAN_MAX
    {
        return Err("reset must be at most a day".to_owned());
    }
    let reset_after = reset_after
        .map_err(|error| format!("reset must be a time with its unit, such as reset=500ms ({error})"))?;
    let mut words = words.into_iter();
    let bits_per_s = words.next().map(ways::parse_rate).transpose()?;
    if bits_per_s.is_some_and(|bits| bits <= 0.0) || words.next().is_some() {
        return Err("a flow may have one rate after it, greater than 0, such as 30Mbit/s".to_owned());
    }
    if carrier == FlowCarrier::Udp && bits_per_s.is_none() {
        return Err("a udp flow needs a rate, such as \"udp 30Mbit/s\"".to_owned());
    }
    if carrier == FlowCarrier::Udp && reset_after.is_some() {
        return Err("a udp flow has no connection to reset".to_owned());
    }
    Ok(Flow { carrier, bits_per_s, reset_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_a_carrier_its_controller_and_a_rate() {
        let words = |text| parse(text).map(Flow::in_words);
        assert_eq!(words("tcp"), Ok("tcp cubic".to_owned()));
        assert_eq!(words("tcp bbr"), Ok("tcp bbr".to_owned()));
        assert_eq!(words("udp 30Mbit/s"), Ok("udp 30 Mbit/s".to_owned()));
        assert_eq!(words("tcp reno 5Mbit/s"), Ok("tcp reno 5 Mbit/s".to_owned()));
        assert_eq!(words("tcp bbr reset=1s"), Ok("tcp bbr, reset after 1 s".to_owned()));
        for wrong in [
            "",
            "udp",
            "tcp vegas",
            "udp 0Mbit/s",
            "udp 3Mbit/s 4Mbit/s",
            "udp 3Mbit/s reset=1s",
            "tcp reset=1",
            "sctp",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

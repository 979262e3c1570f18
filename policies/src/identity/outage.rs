//! How often an issuer is asked that does not answer.

use std::time::Duration;

/// So many questions in a row that were not answered are nothing yet.
const MOST: u32 = 4;
/// After them one is asked in this time, for everybody who waits.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether an issuer answers, by the questions that it was asked last.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    failures: u32,
    tried: Duration,
}

impl Outage {
    /// Whether a question may be asked now; during an outage it is counted.
    pub(crate) fn may_ask(&mut self, now: Duration) -> bool {
        let is_due = self.failures < MOST || now.saturating_sub(self.tried) >= PAUSE;
        if is_due {
            self.tried = now;
        }
        is_due
    }

    /// A question was not answered.
    pub(crate) fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// One was.
    pub(crate) fn end(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_asked_in_a_second_until_there_is_an_answer() {
        let mut outage = Outage::default();
        let ask = |outage: &mut Outage, milliseconds| {
            let asked = outage.may_ask(Duration::from_millis(milliseconds));
            if asked {
                outage.fail();
            }
            asked
        };
        let asked = [0, 0, 1, 2, 3, 1001, 1002, 2001, 2002, 2003].map(|at| ask(&mut outage, at));
        assert_eq!(asked, [true, true, true, true, false, false, true, false, true, false]);
        outage.end();
        assert_eq!([2004, 2004].map(|at| ask(&mut outage, at)), [true; 2]);
    }
}

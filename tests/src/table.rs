//! Tables of cases: many at once, and all that is wrong told together.

use parking_lot::Mutex;

/// How many cases are judged at once. Most of their time is waiting.
const AT_ONCE: usize = 16;

/// Judges every case. Panics with all complaints, each of which names its case.
pub fn judge<T: Sync>(cases: &[T], judge: impl Fn(&T) -> Vec<String> + Sync) {
    let left = Mutex::new(cases.iter());
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = { left.lock().next() } {
                    let told = judge(case);
                    complaints.lock().extend(told);
                }
            });
        }
    });
    let complaints = complaints.into_inner();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

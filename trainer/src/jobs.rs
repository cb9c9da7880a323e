//! Independent pieces of work, several at once, each with its share of the cores.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Number of cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What `work` makes of each of `items`, `jobs` at once, taken in order; `None` for those that were not begun when `stop`
/// said so. Results do not depend on `jobs` where those of `work` do not depend on the number of threads.
pub fn parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    stop: &(dyn Fn() -> bool + Sync),
    work: &(dyn Fn(&T) -> R + Sync),
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let jobs = jobs.clamp(1, items.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let work = || {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(i).filter(|_| !stop()) else { return };
                        let result = work(item);
                        done.lock().expect("no panic holds it")[i] = Some(result);
                    }
                };
                match rayon::ThreadPoolBuilder::new().num_threads((cores() / jobs).max(1)).build() {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
                }
            });
        }
    });
    done.into_inner().expect("no panic held it")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_stop_where_told() {
        let items: Vec<usize> = (0..20).collect();
        let all = parallel(&items, 3, &|| false, &|i| i * i);
        assert!(all.iter().enumerate().all(|(i, r)| *r == Some(i * i)));
        let stop = AtomicBool::new(false);
        let some = parallel(&items, 1, &|| stop.load(Ordering::Relaxed), &|&i| stop.store(i == 4, Ordering::Relaxed));
        assert_eq!(some.iter().flatten().count(), 5);
    }
}

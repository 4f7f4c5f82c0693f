//! Every order in which several scripts can be played at once.

/// Calls `play` with each order of the scripts' steps in which every script keeps its own order; tells how many there were.
pub(crate) fn every_order<S: Clone>(scripts: &[&[S]], mut play: impl FnMut(&[S])) -> usize {
    let mut order = Vec::new();
    let mut count = 0;
    let mut places = vec![0; scripts.len()];
    go_on(scripts, &mut places, &mut order, &mut |order| {
        count += 1;
        play(order);
    });
    count
}

fn go_on<S: Clone>(scripts: &[&[S]], places: &mut [usize], order: &mut Vec<S>, play: &mut impl FnMut(&[S])) {
    let mut is_over = true;
    for script in 0..scripts.len() {
        let Some(step) = scripts[script].get(places[script]) else { continue };
        is_over = false;
        places[script] += 1;
        order.push(step.clone());
        go_on(scripts, places, order, play);
        order.pop();
        places[script] -= 1;
    }
    if is_over {
        play(order);
    }
}

/// Three steps and two are ten orders, and none of them comes twice.
#[test]
fn all_orders_come_once() {
    let mut seen = std::collections::BTreeSet::new();
    assert_eq!(every_order(&[&[1, 2, 3], &[4, 5]], |order| assert!(seen.insert(order.to_vec()))), 10);
    assert!(seen.contains(&vec![1, 4, 2, 5, 3]));
}

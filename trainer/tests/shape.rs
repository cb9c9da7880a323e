//! `rwf shape` from beginning to end.

mod common;

use common::{Bench, names, stderr};
use rwf_runtime::Model;
use rwf_trainer::signal::shape;

/// A run of a second or so.
const SMALL: &str = "--depth 2 --samples 8192 --tested 4096 --resolution 24 --pixels 32 --evaluate-every 20";

fn knot(bench: &Bench, name: &str) {
    bench.write(name, shape::obj(&shape::trefoil(60, 8)));
}

#[test]
fn a_run_folder_holds_everything_and_exports_in_every_precision() {
    let bench = Bench::new();
    bench.write("knot.ply", shape::ply(&shape::trefoil(60, 8)));
    let said = bench.ok(&format!(
        "shape knot.ply {SMALL} --hidden 24 --mapping gaussian:24:0.5 --batch 1024 --lr 0.01 --steps 300 --unit mm"
    ));
    assert!(said.contains("IoU") && said.contains("mm") && said.contains("knot.safetensors"), "{said}");
    let expected = [
        "checkpoint.safetensors",
        "config.toml",
        "loss.png",
        "metrics.csv",
        "model.safetensors",
        "render.png",
        "slices.png",
        "surface.obj",
        "surface.ply",
    ];
    assert_eq!(names(&bench.path("knot.run")), expected);
    let info = bench.ok("info knot.safetensors");
    for word in ["occupancy", "iou_hard=", "inside in 0 .. 1", "sigmoid", "mm", "self-test      passed"] {
        assert!(info.contains(word), "`{word}` is not in\n{info}");
    }
    // What the network has learned in these few steps is a shape, and its surface is one too.
    let surface = shape::load(&bench.path("knot.run/surface.ply")).unwrap();
    assert!((0.5..1.5).contains(&(surface.volume() / shape::trefoil(60, 8).volume())), "{}", surface.volume());
    for precision in ["f16", "int8"] {
        let said = bench.ok(&format!("export knot.run --precision {precision} --tune 10"));
        assert!(said.contains("IoU"), "{said}");
        assert!(bench.path(&format!("knot-{precision}.safetensors")).exists());
    }
    bench.refused("fit --resume knot.run", &["checkpoint.safetensors", "rwf shape", "rwf fit"]);
    bench.refused("inspect knot.run", &["rwf shape", "rwf fit"]);
    bench.ok("shape knot.ply -o again.safetensors --config knot.run/config.toml");
    assert_eq!(bench.read("again.safetensors"), bench.read("knot.safetensors"));
}

#[test]
fn a_distance_answers_value_and_gradient_on_the_device() {
    let bench = Bench::new();
    knot(&bench, "knot.obj");
    let line = "--kind sdf --hidden 24 --omega0 10 --batch 512 --lr 0.01 --steps 400 --eikonal 0.05";
    bench.ok(&format!("shape knot.obj {SMALL} {line}"));
    let bytes = bench.read("knot.safetensors");
    let model = Model::new(&bytes).unwrap();
    let solid = shape::Solid::new(shape::trefoil(60, 8));
    let (mut value, mut gradient) = ([0.0f32], [0.0f32; 3]);
    let mut scratch = vec![0.0; model.jacobian_scratch_len()];
    let (mut cosines, mut norms, mut errors) = (0.0, 0.0, 0.0);
    let surface = shape::Surface::new(solid.mesh());
    let mut rng = rwf_trainer::rng::Rng::new(5);
    let n = 200;
    for _ in 0..n {
        let p = surface.near(0.2, &mut rng);
        let x: [f32; 3] = std::array::from_fn(|k| p[k] as f32);
        model.jacobian(&x, &mut value, &mut gradient, &mut scratch).unwrap();
        let nearest = solid.nearest(p);
        let away = (p - nearest.point).normalize() * if solid.inside(p) { -1.0 } else { 1.0 };
        let g = shape::Point::from_fn(|k, _| f64::from(gradient[k]));
        cosines += g.normalize().dot(&away) / f64::from(n);
        norms += g.norm() / f64::from(n);
        errors += (f64::from(value[0]) - solid.signed_distance(p)).abs() / f64::from(n);
        // The gradient is that of the values the same file gives.
        for k in 0..3 {
            let mut at = |h: f32| {
                let mut to = x;
                to[k] += h;
                model.eval(&to, &mut value, &mut scratch).unwrap();
                f64::from(value[0])
            };
            let slope = (at(4e-3) - at(-4e-3)) / 8e-3;
            assert!((slope - f64::from(gradient[k])).abs() < 0.02, "{slope} {}", gradient[k]);
        }
    }
    assert!(cosines > 0.8 && (0.8..1.2).contains(&norms) && errors < 0.05, "{cosines} {norms} {errors}");
}

/// A run that Ctrl-C ends, and one that SIGKILL ends, go on to the bits of one that was never stopped.
#[test]
#[cfg(unix)]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let bench = Bench::new();
    knot(&bench, "knot.obj");
    for kind in ["occupancy", "sdf"] {
        let line = format!("shape knot.obj {SMALL} --hidden 12 --kind {kind} --steps 400 --batch 256");
        let straight = format!("{kind}.safetensors");
        bench.ok(&format!("{line} -o {straight}"));
        for signal in ["-INT", "-KILL"] {
            let name = format!("{kind}{signal}");
            let out = bench.stopped(&line, &name, signal);
            if signal == "-INT" {
                assert_eq!(out.status.code(), Some(130), "{}", stderr(&out));
                assert_ne!(bench.read(&format!("{name}.safetensors")), bench.read(&straight));
            }
            bench.ok(&format!("shape --resume {name}.run"));
            assert_eq!(bench.read(&format!("{name}.safetensors")), bench.read(&straight), "{name}");
        }
    }
}

#[test]
fn what_is_no_mesh_is_refused_and_what_is_a_poor_one_works() {
    let bench = Bench::new();
    bench.write("empty.obj", "");
    bench.write("points.obj", "v 0 0 0\nv 1 0 0\n");
    bench.write("nan.obj", "v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n");
    bench.write("far.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n");
    bench.write("flat.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n");
    bench.write("half.ply", &shape::ply(&shape::trefoil(10, 5))[..300]);
    bench.write("mesh.xyz", "1 2 3");
    let before = bench.files();
    for (name, words) in [
        ("nowhere.obj", &["nowhere.obj"][..]),
        ("empty.obj", &["empty.obj", "empty"]),
        ("points.obj", &["points.obj", "no faces"]),
        ("nan.obj", &["nan.obj", "vertex 1", "NaN"]),
        ("far.obj", &["far.obj", "out of bounds"]),
        ("flat.obj", &["flat.obj", "degenerate"]),
        ("half.ply", &["half.ply", "PLY"]),
        ("mesh.xyz", &["mesh.xyz", "obj, ply or stl"]),
    ] {
        bench.refused(&format!("shape {name}"), words);
    }
    knot(&bench, "knot.obj");
    for (options, words) in [
        ("--pixels 4", &["signal.pixels", "16"][..]),
        ("--kind sdf --eikonal -1", &["eikonal"]),
        ("--resolution 4", &["resolution"]),
        ("--output-activation sigmoid", &["output_activation", "identity"]),
        ("--kind sdf --engine candle", &["eikonal", "fused"]),
    ] {
        bench.refused(&format!("shape knot.obj --samples 2048 --tested 64 --steps 2 {options}"), words);
    }
    bench.refused("shape --resume nowhere.run", &["nowhere.run"]);
    std::fs::remove_file(bench.path("knot.obj")).unwrap();
    assert_eq!(bench.files(), before, "nothing is left behind");

    // Four triangles of five, one of them twice, one without area.
    let text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 1 4 3\nf 1 1 2\n";
    bench.write("poor.obj", text);
    let out = bench.rwf(format!("shape poor.obj {SMALL} --hidden 12 --steps 2").split_whitespace());
    let said = stderr(&out);
    assert!(out.status.success(), "{said}");
    for word in ["open", "not a manifold", "1 degenerate"] {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
}

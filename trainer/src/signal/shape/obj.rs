//! Wavefront OBJ: positions and faces; texture, normals and materials are nothing to a shape.

use std::fmt::Write as _;

use super::{Mesh, Raw};

/// Vertices and faces of all objects in the file.
pub(super) fn read(bytes: &[u8]) -> Result<Raw, String> {
    let options = tobj::LoadOptions { ignore_points: true, ignore_lines: true, ..Default::default() };
    let mut bytes = bytes;
    let no_materials = |_: &std::path::Path| Ok((Vec::new(), Default::default()));
    let (models, _) =
        tobj::load_obj_buf(&mut bytes, &options, no_materials).map_err(|e| format!("no OBJ file: {e}"))?;
    let mut raw = Raw { vertices: Vec::new(), polygons: Vec::new() };
    for model in models {
        let start = raw.vertices.len() as u32;
        let mesh = model.mesh;
        raw.vertices.extend(mesh.positions.chunks_exact(3).map(|p| [p[0], p[1], p[2]].map(f64::from)));
        let mut indices = mesh.indices.iter().map(|i| start + i);
        // No list of sizes stands for triangles throughout.
        let sizes = if mesh.face_arities.is_empty() { vec![3; mesh.indices.len() / 3] } else { mesh.face_arities };
        for size in sizes {
            raw.polygons.push(indices.by_ref().take(size as usize).collect());
        }
    }
    Ok(raw)
}

/// A mesh as the text of an OBJ file.
pub fn write(mesh: &Mesh) -> Vec<u8> {
    let mut text = String::new();
    for v in &mesh.vertices {
        writeln!(text, "v {} {} {}", v.x as f32, v.y as f32, v.z as f32).expect("a string");
    }
    for t in &mesh.triangles {
        writeln!(text, "f {} {} {}", t[0] + 1, t[1] + 1, t[2] + 1).expect("a string");
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{super::mesh::tests::torus, *};

    #[test]
    fn what_is_written_is_read_back() {
        let mesh = torus(5);
        let raw = read(&write(&mesh)).unwrap();
        let back = Mesh::new("back".into(), raw.vertices, &raw.polygons).unwrap();
        // The reader numbers vertices as faces come to them.
        assert_eq!((back.triangles.len(), back.vertices.len()), (mesh.triangles.len(), mesh.vertices.len()));
        assert!((back.volume() - mesh.volume()).abs() < 1e-6 && back.condition == mesh.condition);
    }

    #[test]
    fn quads_texture_and_several_objects_are_understood() {
        let text = "o a\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1 4/1\no b\nv 0 0 1\nf 1 2 5\n";
        let raw = read(text.as_bytes()).unwrap();
        let mesh = Mesh::new("m".into(), raw.vertices, &raw.polygons).unwrap();
        assert_eq!((mesh.vertices.len(), mesh.triangles.len()), (5, 3));
        assert!(read(b"v 0 0 zero\n").err().unwrap().contains("position"));
        assert!(read(b"v 0 0 0\nf 1 2 3\n").err().unwrap().contains("out of bounds"));
    }
}

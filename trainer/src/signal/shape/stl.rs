//! STL: triangles one by one, in text or binary.

use std::io::Cursor;

use super::Raw;

/// The triangles of the file.
pub(super) fn read(bytes: &[u8]) -> Result<Raw, String> {
    let mesh = stl_io::read_stl(&mut Cursor::new(bytes)).map_err(|e| format!("no STL file: {e}"))?;
    Ok(Raw {
        vertices: mesh.vertices.iter().map(|v| v.0.map(f64::from)).collect(),
        polygons: mesh.faces.iter().map(|f| f.vertices.iter().map(|&i| i as u32).collect()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Mesh, mesh::tests::cube},
        *,
    };

    #[test]
    fn text_and_binary_give_the_same_cube() {
        let whole = cube([0.0; 3]);
        let mut text = String::from("solid cube\n");
        let mut binary = vec![0u8; 80];
        binary.extend(12u32.to_le_bytes());
        for n in 0..12 {
            text += "facet normal 0 0 0\nouter loop\n";
            binary.extend([0; 12]);
            for v in whole.corners(n) {
                text += &format!("vertex {} {} {}\n", v.x, v.y, v.z);
                v.iter().for_each(|x| binary.extend((*x as f32).to_le_bytes()));
            }
            text += "endloop\nendfacet\n";
            binary.extend([0; 2]);
        }
        text += "endsolid cube\n";
        for bytes in [text.as_bytes(), &binary] {
            let raw = read(bytes).unwrap();
            let mesh = Mesh::new("m".into(), raw.vertices, &raw.polygons).unwrap();
            assert_eq!((mesh.vertices.len(), mesh.triangles.len(), mesh.condition), (8, 12, whole.condition));
        }
        assert!(read(&binary[..200]).err().unwrap().contains("STL"));
    }
}

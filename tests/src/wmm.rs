//! The World Magnetic Model on a grid: a real table with two inputs, made from its published coefficients.

use std::fmt::Write as _;

/// Highest degree of the model.
const DEGREE: usize = 12;
/// Radius the coefficients refer to, km.
const RADIUS: f64 = 6371.2;
/// WGS84: equatorial radius in km and flattening.
const EARTH: (f64, f64) = (6378.137, 1.0 / 298.257_223_563);

/// Spherical harmonic coefficients (Schmidt semi-normalised, nT) and their yearly change.
pub struct Wmm {
    epoch: f64,
    /// g, h, dg/dt, dh/dt by degree and order.
    terms: [[[f64; 4]; DEGREE + 1]; DEGREE + 1],
}

impl Wmm {
    /// From the text of a `.COF` file.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let epoch = lines.next()?.split_whitespace().next()?.parse().ok()?;
        let mut terms = [[[0.0; 4]; DEGREE + 1]; DEGREE + 1];
        for line in lines {
            let fields: Vec<f64> = line.split_whitespace().map_while(|w| w.parse().ok()).collect();
            // The file ends with lines of nines.
            if let [n, m, ref rest @ ..] = fields[..]
                && let Ok(rest) = rest.try_into()
                && n <= DEGREE as f64
            {
                terms[n as usize][m as usize] = rest;
            }
        }
        Some(Self { epoch, terms })
    }

    /// Northward and eastward field in nT at geodetic latitude and longitude in degrees, height in km over the
    /// ellipsoid, and a decimal year. Not defined at the poles themselves.
    pub fn north_east(&self, latitude: f64, longitude: f64, height: f64, year: f64) -> (f64, f64) {
        let (sin_lat, cos_lat) = latitude.to_radians().sin_cos();
        let e2 = EARTH.1 * (2.0 - EARTH.1);
        let curvature = EARTH.0 / (1.0 - e2 * sin_lat * sin_lat).sqrt();
        let p = (curvature + height) * cos_lat;
        let z = (curvature * (1.0 - e2) + height) * sin_lat;
        let r = p.hypot(z);
        let geocentric = (z / r).asin();
        let (cos, sin) = (z / r, p / r);

        // Gauss-normalised Legendre functions of the colatitude and their derivatives.
        let mut legendre = [[0.0; DEGREE + 1]; DEGREE + 1];
        let mut slope = [[0.0; DEGREE + 1]; DEGREE + 1];
        let mut schmidt = [[0.0; DEGREE + 1]; DEGREE + 1];
        (legendre[0][0], schmidt[0][0]) = (1.0, 1.0);
        let (mut north, mut east, mut radial) = (0.0, 0.0, 0.0);
        let t = year - self.epoch;
        for n in 1..=DEGREE {
            let nf = n as f64;
            schmidt[n][0] = schmidt[n - 1][0] * (2.0 * nf - 1.0) / nf;
            for m in 0..=n {
                let mf = m as f64;
                if m == n {
                    legendre[n][n] = sin * legendre[n - 1][n - 1];
                    slope[n][n] = sin * slope[n - 1][n - 1] + cos * legendre[n - 1][n - 1];
                } else {
                    let k = if n == 1 {
                        0.0
                    } else {
                        ((nf - 1.0).powi(2) - mf * mf) / ((2.0 * nf - 1.0) * (2.0 * nf - 3.0))
                    };
                    let before = if n > 1 { (legendre[n - 2][m], slope[n - 2][m]) } else { (0.0, 0.0) };
                    legendre[n][m] = cos * legendre[n - 1][m] - k * before.0;
                    slope[n][m] = cos * slope[n - 1][m] - sin * legendre[n - 1][m] - k * before.1;
                }
                if m > 0 {
                    let twice = if m == 1 { 2.0 } else { 1.0 };
                    schmidt[n][m] = schmidt[n][m - 1] * ((nf - mf + 1.0) * twice / (nf + mf)).sqrt();
                }
                let [g, h, dg, dh] = self.terms[n][m];
                let (g, h) = (g + t * dg, h + t * dh);
                let (sin_m, cos_m) = (mf * longitude.to_radians()).sin_cos();
                let scale = (RADIUS / r).powi(n as i32 + 2) * schmidt[n][m];
                north += scale * (g * cos_m + h * sin_m) * slope[n][m];
                east += scale * mf * (g * sin_m - h * cos_m) * legendre[n][m] / sin;
                radial += scale * (nf + 1.0) * (g * cos_m + h * sin_m) * legendre[n][m];
            }
        }
        let turn = geocentric - latitude.to_radians();
        let down = -radial;
        (north * turn.cos() - down * turn.sin(), east)
    }

    /// A CSV over a grid of `step` degrees, from `latitude` S to `latitude` N and all the way round, at sea level and the
    /// model's epoch.
    ///
    /// Declination itself jumps by 360 degrees along a line between each magnetic and geographic pole, and so does
    /// any table of it; the horizontal field it is the angle of has no jump, so that is what the table holds.
    pub fn table(&self, latitude: i32, step: usize) -> String {
        let mut text = String::from("lat[deg],lon[deg],north[nT],east[nT]\n");
        for lat in (-latitude..=latitude).step_by(step) {
            for lon in (-180..180).step_by(step) {
                let (north, east) = self.north_east(f64::from(lat), f64::from(lon), 0.0, self.epoch);
                writeln!(text, "{lat},{lon},{north:.2},{east:.2}").expect("a string");
            }
        }
        text
    }
}

/// Least and greatest horizontal field of a zone in nT, as the report of WMM2025 has them: a compass is
/// unreliable in the blackout zone, where the model's own declination means little, and to be read with caution in the next.
pub const ZONES: [(&str, f64, f64); 3] =
    [("outside both zones", 6000.0, f64::INFINITY), ("caution zone", 2000.0, 6000.0), ("blackout zone", 0.0, 2000.0)];

/// The point of a zone whose declination is furthest off.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Furthest {
    /// Points of the zone.
    pub points: usize,
    /// Error in degrees.
    pub degrees: f64,
    /// Latitude and longitude in degrees.
    pub at: (f64, f64),
}

impl Wmm {
    /// The largest errors of the declination atan2(east, north) of `field`, which gives north and east in nT at a latitude
    /// and longitude, in each of [`ZONES`], over a grid of 1 degree from `latitude` S to `latitude` N.
    pub fn declination_errors(&self, latitude: i32, field: impl Fn(f64, f64) -> (f64, f64)) -> [Furthest; 3] {
        let mut zones = [Furthest::default(); 3];
        for lat in -latitude..=latitude {
            // A table of even degrees holds -180, and nothing is known east of 178.
            for lon in -180..=178 {
                let (lat, lon) = (f64::from(lat), f64::from(lon));
                let (north, east) = self.north_east(lat, lon, 0.0, self.epoch);
                let horizontal = north.hypot(east);
                let Some(zone) = ZONES.iter().position(|z| (z.1..z.2).contains(&horizontal)) else { continue };
                let (fit_north, fit_east) = field(lat, lon);
                // The angle between both vectors, which knows no jump.
                let degrees =
                    (north * fit_east - east * fit_north).atan2(north * fit_north + east * fit_east).to_degrees().abs();
                let found = &mut zones[zone];
                found.points += 1;
                // A NaN is further off than all.
                if found.points == 1 || degrees.is_nan() || degrees > found.degrees {
                    (found.degrees, found.at) = (degrees, (lat, lon));
                }
            }
        }
        zones
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declinations_are_compared_zone_by_zone() {
        // A dipole along the axis points north everywhere, with about 29,000 nT·cos(latitude).
        let dipole = Wmm::parse("2025.0 TEST 01/01/2025\n 1 0 -29000.0 0.0 0.0 0.0\n").unwrap();
        let zones = dipole.declination_errors(88, |lat, lon| (dipole.north_east(lat, lon, 0.0, 2025.0).0, 100.0));
        assert!(zones.iter().all(|z| z.points > 0 && z.at.0.abs() > 60.0), "{zones:?}");
        // 100 nT across the least field of each zone.
        for (zone, (name, least, _)) in zones.iter().zip(ZONES).take(2) {
            let most = (100.0f64 / least).atan().to_degrees();
            assert!(zone.degrees <= most && zone.degrees > 0.8 * most, "{name}: {zone:?} {most}");
        }
        assert_eq!(dipole.declination_errors(60, |lat, lon| dipole.north_east(lat, lon, 0.0, 2025.0))[0].degrees, 0.0);
    }
}

//! Memory of a machine, given back when it is dropped.

use std::{marker::PhantomData, rc::Rc};

use bytemuck::Pod;

use super::machine::{Machine, Pointer};
use crate::error::Result;

/// `len` values.
pub(super) struct Buffer<T> {
    machine: Rc<dyn Machine>,
    pointer: Pointer,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// Room that holds anything.
    pub(super) fn room(machine: &Rc<dyn Machine>, len: usize) -> Result<Self> {
        // There is no memory of no bytes.
        let pointer = machine.allocate(len.max(1) * size_of::<T>())?;
        Ok(Self { machine: machine.clone(), pointer, len, of: PhantomData })
    }

    pub(super) fn zeros(machine: &Rc<dyn Machine>, len: usize) -> Result<Self> {
        let buffer = Self::room(machine, len)?;
        buffer.clear()?;
        Ok(buffer)
    }

    pub(super) fn from(machine: &Rc<dyn Machine>, values: &[T]) -> Result<Self> {
        let buffer = Self::room(machine, values.len())?;
        buffer.write(values)?;
        Ok(buffer)
    }

    pub(super) fn clear(&self) -> Result<()> {
        self.machine.clear(self.pointer, self.len * size_of::<T>())
    }

    /// Replaces the first values.
    pub(super) fn write(&self, values: &[T]) -> Result<()> {
        assert!(values.len() <= self.len, "{} values for a buffer of {}", values.len(), self.len);
        if values.is_empty() { Ok(()) } else { self.machine.upload(self.pointer, bytemuck::cast_slice(values)) }
    }

    /// The first `len` values.
    pub(super) fn read(&self, len: usize) -> Result<Vec<T>> {
        assert!(len <= self.len, "{len} values of a buffer of {}", self.len);
        let mut values = vec![T::zeroed(); len];
        if len > 0 {
            self.machine.download(self.pointer, bytemuck::cast_slice_mut(&mut values))?;
        }
        Ok(values)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// As an argument of a kernel.
    pub(super) fn at(&self) -> u64 {
        self.pointer
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.machine.free(self.pointer);
    }
}

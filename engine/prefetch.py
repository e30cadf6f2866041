"""The processor's prefetch instruction for numba: ask memory for a cache line now, use it later."""

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

if TYPE_CHECKING:

    def prefetch(array: Any, row: int | np.integer[Any], column: int) -> None:
        """Ask for the cache line of `array[row, column]` without waiting for it; any address is safe."""

else:

    @intrinsic
    def prefetch(typingctx, array, row, column):  # noqa: ANN001, ANN201, ARG001, D103  numba's protocol: types in, code out
        def generate(context, builder, signature, args):  # noqa: ANN001, ANN202
            parts = context.make_array(signature.args[0])(context, builder, args[0])
            strides = cgutils.unpack_tuple(builder, parts.strides)
            address = builder.ptrtoint(parts.data, ir.IntType(64))
            for i in (0, 1):
                address = builder.add(address, builder.mul(args[1 + i], strides[i]))
            pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
            integer = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            read, keep, data = integer(0), integer(3), integer(1)
            builder.call(function, [pointer, read, keep, data])
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp), generate

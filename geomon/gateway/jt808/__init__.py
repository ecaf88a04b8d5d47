"""JT/T 808, the protocol of vehicle terminals and of most Chinese trackers, in two forms.

JT/T 808-2013 and JT/T 808-2019 (道路运输车辆卫星定位系统 终端通讯协议及数据格式), told apart by
each message itself. `frames` finds messages among bytes, `parts` puts long ones together,
`messages` reads positions, `session` answers.
"""

from geomon.gateway.jt808.session import Jt808Talk

__all__ = ["Jt808Talk"]
